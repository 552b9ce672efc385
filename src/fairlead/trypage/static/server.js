// The server: what it has, and one question at a time.

const PATIENCE_MS = 20_000;

// What went wrong, for a person: a sentence, and what to do next.
export class Trouble extends Error {
  constructor(message, hint = "") {
    super(message);
    this.hint = hint;
  }
}

export class Server {
  // `api` stands before the paths that are asked; `token` shows whoever wants to know that this page asks.
  constructor(api, token = "") {
    this.api = api;
    this.headers = token ? { "X-CSRF-Token": token } : {};
  }

  models() { return this.#ask("/models", {}).then(({ answer }) => answer); }

  // The answer and how many milliseconds it took. `body` is a Blob, or a JSON text.
  post(path, body) {
    const type = typeof body === "string" ? "application/json" : body.type || "application/octet-stream";
    return this.#ask(path, { method: "POST", headers: { ...this.headers, "Content-Type": type }, body });
  }

  async #ask(path, options) {
    const began = performance.now();
    let response, text;
    try {
      response = await fetch(this.api + path, { ...options, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      text = await response.text();
    } catch (error) {
      if (error.name === "TimeoutError") throw new Trouble(`There was no answer within ${PATIENCE_MS / 1000} seconds.`, "The server may be busy. Try again.");
      throw new Trouble("The server cannot be reached.", "Is it running? Go on when it is back: nothing here is lost.");
    }
    const took = performance.now() - began;
    const answer = parsed(text);
    if (!response.ok) throw refusal(response, answer);
    if (answer === undefined) throw new Trouble("The answer is not JSON.", "Is this the address of Fairlead?");
    return { answer, took };
  }
}

// Asks about the newest of what it is given, one question at a time, and no more often than every `pause` milliseconds.
export class Newest {
  #ask; #pause; #isBusy = false; #next = null;

  constructor(ask, pause) {
    this.#ask = ask;
    this.#pause = pause;
  }

  give(question) {
    this.#next = question;
    if (!this.#isBusy) this.#work();
  }

  forget() { this.#next = null; }

  async #work() {
    this.#isBusy = true;
    while (this.#next) {
      const question = this.#next;
      this.#next = null;
      const rest = new Promise((resolve) => { setTimeout(resolve, this.#pause); });
      await this.#ask(question);
      await rest;
    }
    this.#isBusy = false;
  }
}

function parsed(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

// The server's own words, in the shape of whichever interface was asked.
function refusal(response, answer) {
  const said = answer?.error?.message ?? answer?.error ?? answer?.detail;
  const message = typeof said === "string" ? said : `The server answered ${response.status} ${response.statusText}.`;
  return new Trouble(message, answer?.error?.hint ?? "");
}
