// A request as code to copy; it is written when somebody looks.

import { LANGUAGES, snippet } from "./request.js";
import { switches } from "./switches.js";

const THANKS_MS = 2000;

export class Code {
  #details; #text; #copy; #request = null; #language = "curl";

  // `part` finds an element of the pane by its name.
  constructor(part) {
    this.#details = part("code");
    this.#text = part("snippet");
    this.#copy = part("copy");
    this.#details.addEventListener("toggle", () => this.#write());
    this.#copy.addEventListener("click", () => this.#give());
    switches(part("languages"), LANGUAGES, (value) => {
      this.#language = value;
      this.#write();
    });
  }

  // Show the request that this function makes, as `snippet` takes it; null for none.
  show(request) {
    this.#request = request;
    this.#details.hidden = !request;
    this.#write();
  }

  async #write() {
    const request = this.#request, language = this.#language;
    if (!request || !this.#details.open) return;
    const text = snippet(language, await request());
    if (request === this.#request && language === this.#language) this.#text.textContent = text;
  }

  async #give() {
    try {
      await navigator.clipboard.writeText(this.#text.textContent);
      this.#copy.textContent = "Copied";
    } catch { // not allowed, or no secure context: select it, and let the person copy it
      getSelection().selectAllChildren(this.#text);
      this.#copy.textContent = "Selected";
    }
    setTimeout(() => { this.#copy.textContent = "Copy"; }, THANKS_MS);
  }
}
