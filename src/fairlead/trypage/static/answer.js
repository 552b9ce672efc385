// What a model answered, on the page. Names come from models and are only ever text.

const MOST_BARS = 12, QUIET_MS = 800;

export class Answer {
  #parts; #classes = ""; #quiet = 0;

  // `part` finds an element of the pane by its name.
  constructor(part) { this.#parts = part; }

  // Show `answer`, which took `took` milliseconds, to the version in it.
  show(answer, took) {
    const only = answer.predictions?.length === 1 ? answer.predictions[0] : null;
    const verdict = [answer, only].find((one) => one?.probabilities) ?? null;
    this.#reset({ verdict: Boolean(verdict), raw: !verdict, served: true });
    if (verdict) this.#verdict(verdict, answer.inputs);
    else this.#parts("raw").textContent = readable({ ...answer, inputs: undefined });
    this.#served(answer, verdict?.prediction_id ?? answer.prediction_id, took);
    this.#say(verdict ? `${verdict.label}, ${percent(verdict.proba)}` : "The answer is there.");
    return verdict;
  }

  // Show that nothing was asked yet, and what to do about it.
  clear(hint) {
    this.#reset({ nothing: true });
    this.#parts("nothing").textContent = hint;
    clearTimeout(this.#quiet);
    this.#parts("spoken").textContent = "";
  }

  // Show what went wrong.
  fail({ message, hint = "" }) {
    this.#reset({ trouble: true });
    const what = document.createElement("strong"), next = document.createElement("span");
    what.textContent = message;
    next.textContent = hint;
    this.#parts("trouble").replaceChildren(what, " ", next);
  }

  #reset(shown) {
    for (const name of ["trouble", "nothing", "verdict", "raw", "served"]) this.#parts(name).hidden = !shown[name];
    if (!shown.trouble) this.#parts("trouble").replaceChildren();
  }

  #verdict({ label, proba, probabilities }, inputs) {
    this.#parts("label").textContent = label;
    this.#parts("proba").textContent = percent(proba);
    let entries = Object.entries(probabilities);
    if (entries.length > MOST_BARS) entries = entries.sort((one, other) => other[1] - one[1]).slice(0, MOST_BARS);
    else entries = entries.sort((one, other) => one[0].localeCompare(other[0], "en", { numeric: true }));
    const bars = this.#bars(entries.map(([name]) => name));
    entries.forEach(([name, share], at) => fill(bars[at], name, share, name === label));
    this.#seen(Object.values(inputs ?? {})[0]?.[0]);
  }

  // A bar for each class; the same elements as before where the classes are, so that they grow and shrink.
  #bars(names) {
    const list = this.#parts("bars");
    const classes = JSON.stringify(names.length === MOST_BARS ? names.length : names);
    if (classes !== this.#classes) list.replaceChildren(...names.map(bar));
    this.#classes = classes;
    return [...list.children];
  }

  // Draw a grey picture of rows of pixels in 0..1 as paper with ink on it.
  #seen(rows) {
    const figure = this.#parts("seen"), isGrey = rows?.[0]?.[0]?.length === 1;
    figure.hidden = !isGrey;
    if (!isGrey) return;
    const canvas = figure.querySelector("canvas"), paper = canvas.getContext("2d");
    [canvas.height, canvas.width] = [rows.length, rows[0].length];
    const image = paper.createImageData(canvas.width, canvas.height);
    rows.flat(2).forEach((ink, at) => image.data.set([0, 1, 2].map(() => 255 * (1 - ink)).concat(255), 4 * at));
    paper.putImageData(image, 0, 0);
  }

  #served({ model, version, model_name, model_version }, id, took) {
    const name = model ?? model_name, number = version ?? model_version;
    this.#parts("model").textContent = name === undefined ? "" : `${name}, version ${number}`;
    this.#parts("took").textContent = `${took < 10 ? took.toFixed(1) : Math.round(took)} ms`;
    this.#parts("id").textContent = id ?? "";
    for (const part of ["model", "id"]) this.#parts(part).closest("div").hidden = !this.#parts(part).textContent;
  }

  // Let a screen reader say it, once it has not changed for a moment.
  #say(text) {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => { this.#parts("spoken").textContent = text; }, QUIET_MS);
  }
}

function bar() {
  const item = document.createElement("li");
  for (const part of ["name", "track", "share"]) item.append(Object.assign(document.createElement("span"), { className: `try-${part}` }));
  item.children[1].append(document.createElement("i"));
  item.children[1].setAttribute("aria-hidden", "true");
  return item;
}

function fill(item, name, share, isBest) {
  const [title, track, value] = item.children;
  title.textContent = title.title = name;
  track.firstChild.style.width = `${100 * share}%`;
  value.textContent = percent(share);
  item.classList.toggle("try-best", isBest);
}

function percent(share) { return `${(100 * share).toFixed(1)} %`; }

// JSON with a line for each member, and one for a list of plain values.
function readable(value, margin = "") {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const isList = Array.isArray(value), inside = `${margin}  `;
  if (isList && !value.some((one) => one && typeof one === "object")) return `[${value.map((one) => JSON.stringify(one)).join(", ")}]`;
  const members = isList
    ? value.map((one) => readable(one, inside))
    : Object.entries(value).filter(([, one]) => one !== undefined).map(([name, one]) => `${JSON.stringify(name)}: ${readable(one, inside)}`);
  const [open, close] = isList ? "[]" : "{}";
  return members.length ? `${open}\n${members.map((one) => inside + one).join(",\n")}\n${margin}${close}` : open + close;
}
