// A client for Fairlead, in Node.js from 18 on and in browsers: all that it needs is fetch.

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;
const PASSING = [429, 502, 503];
const ARRAYS = {
  BOOL: Uint8Array, UINT8: Uint8Array, UINT16: Uint16Array, UINT32: Uint32Array, UINT64: BigUint64Array,
  INT8: Int8Array, INT16: Int16Array, INT32: Int32Array, INT64: BigInt64Array, FP32: Float32Array, FP64: Float64Array,
};

/** What went wrong, by its canonical `code`, and in `hint` what to do next. */
export class FairleadError extends Error {
  constructor(code, message, { hint = "", isPassing = false, retryAfterMs = 0 } = {}) {
    super(message);
    Object.assign(this, { name: "FairleadError", code, hint, isPassing, retryAfterMs });
  }
}

/** Asks a server, and asks again where that is safe, until a deadline that counts all attempts. */
export class Client {
  #url;
  #headers;
  #timeoutMs;
  #retries;

  constructor(url, { apiKey, token, timeoutMs = 30_000, retries = 5 } = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#headers = { ...(apiKey && { "x-api-key": apiKey }), ...(token && { authorization: `Bearer ${token}` }) };
    this.#timeoutMs = timeoutMs;
    this.#retries = retries;
  }

  /** Classes by name: of {instances: [row, ...]}, {row}, {text}, or of a picture's bytes (a Blob or an ArrayBuffer). */
  async predict(model, question, { version, label, deadlineMs } = {}) {
    const isPicture = question instanceof Blob || question instanceof ArrayBuffer || ArrayBuffer.isView(question);
    const query = new URLSearchParams({ model, ...(version && { version }), ...(label && { label }) });
    const body = isPicture ? question : JSON.stringify(question);
    const type = isPicture ? "application/octet-stream" : "application/json";
    return json(await this.#ask("POST", `/predict?${query}`, { body, type, deadlineMs }));
  }

  /**
   * Tensors by name, as bytes both ways: {image: {datatype: "FP32", shape: [1, 28, 28, 1], data: new Float32Array(784)}}.
   * Data is an array of the datatype's own kind, or one of strings for BYTES.
   */
  async infer(model, tensors, { version, label, deadlineMs } = {}) {
    const inputs = [];
    const parts = [];
    for (const [name, { datatype, shape, data }] of Object.entries(tensors)) {
      const bytes = datatype === "BYTES" ? packed(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      inputs.push({ name, datatype, shape, parameters: { binary_data_size: bytes.length } });
      parts.push(bytes);
    }
    const head = new TextEncoder().encode(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
    const which = version ? `/versions/${version}` : label ? `/labels/${encodeURIComponent(label)}` : "";
    const answer = await this.#ask("POST", `/v2/models/${encodeURIComponent(model)}${which}/infer`, {
      body: new Blob([head, ...parts]),
      type: "application/octet-stream",
      headers: { "inference-header-content-length": String(head.length) },
      deadlineMs,
    });
    return read(answer);
  }

  /** What was true of earlier predictions, by their ids: {"01a2...": "7"}. To say it again is harmless. */
  async feedback(labels, { deadlineMs } = {}) {
    const pairs = Object.entries(labels).map(([prediction_id, label]) => ({ prediction_id, label }));
    const options = { body: JSON.stringify({ labels: pairs }), type: "application/json", deadlineMs };
    return json(await this.#ask("POST", "/feedback", options));
  }

  /** Every model, its versions, their labels, and what each takes and gives. */
  async models({ deadlineMs } = {}) {
    return json(await this.#ask("GET", "/models", { deadlineMs }));
  }

  async #ask(method, path, { body, type, headers = {}, deadlineMs = this.#timeoutMs }) {
    const end = performance.now() + deadlineMs;
    const sent = { ...this.#headers, ...headers, ...(type && { "content-type": type }) };
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#once(method, path, body, sent, end - performance.now());
      } catch (error) {
        const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
        const pause = error.retryAfterMs + Math.random() * longest;
        if (!error.isPassing || attempt >= this.#retries || performance.now() + pause >= end) throw error;
        await new Promise((go) => setTimeout(go, pause));
      }
    }
  }

  async #once(method, path, body, sent, leftMs) {
    const waitMs = Math.max(1, Math.floor(leftMs));
    const headers = { ...sent, "x-request-timeout-ms": String(waitMs) };
    let response, bytes;
    try {
      response = await fetch(this.#url + path, { method, headers, body, signal: AbortSignal.timeout(waitMs) });
      bytes = await response.arrayBuffer();
    } catch (error) {
      if (error.name === "TimeoutError") throw new FairleadError("DEADLINE_EXCEEDED", `${this.#url} did not answer in time`);
      const reason = error.cause?.message || error.message;
      throw new FairleadError("UNAVAILABLE", `${this.#url} does not answer: ${reason}`, { isPassing: true });
    }
    if (!response.ok) throw refusal(response, bytes);
    return { headers: response.headers, bytes };
  }
}

function json({ bytes }) {
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** The error in the shape of either API, or a proxy's own page. */
function refusal(response, bytes) {
  const text = new TextDecoder().decode(bytes);
  let told = {};
  try {
    const { error, ...rest } = JSON.parse(text);
    told = typeof error === "object" ? error : { message: error, ...rest };
  } catch {
    told = { message: `status ${response.status}: ${text.slice(0, 200)}` };
  }
  return new FairleadError(told.code ?? "UNKNOWN", told.message, {
    hint: told.hint ?? "",
    isPassing: PASSING.includes(response.status),
    retryAfterMs: 1000 * (Number(response.headers.get("retry-after")) || 0),
  });
}

/** Strings as the protocol has them: each in UTF-8 behind its length. */
function packed(strings) {
  const texts = strings.map((text) => new TextEncoder().encode(text));
  const bytes = new Uint8Array(texts.reduce((size, text) => size + 4 + text.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const text of texts) {
    view.setUint32(at, text.length, true);
    bytes.set(text, at + 4);
    at += 4 + text.length;
  }
  return bytes;
}

function unpacked(buffer) {
  const view = new DataView(buffer);
  const texts = [];
  for (let at = 0; at < buffer.byteLength; ) {
    const size = view.getUint32(at, true);
    texts.push(new TextDecoder().decode(new Uint8Array(buffer, at + 4, size)));
    at += 4 + size;
  }
  return texts;
}

function read({ headers, bytes }) {
  let at = Number(headers.get("inference-header-content-length") ?? bytes.byteLength);
  const page = json({ bytes: bytes.slice(0, at) });
  const outputs = {};
  for (const { name, datatype, shape, parameters } of page.outputs) {
    const buffer = bytes.slice(at, at + parameters.binary_data_size);
    const data = datatype === "BYTES" ? unpacked(buffer) : new (ARRAYS[datatype] ?? Uint8Array)(buffer);
    outputs[name] = { datatype, shape, data };
    at += parameters.binary_data_size;
  }
  return { model: page.model_name, version: Number(page.model_version), id: headers.get("x-prediction-id"), outputs };
}
