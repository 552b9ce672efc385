// The row that asks whether the last answer was right, and tells the server.

const OUTCOMES = {
  joined: "Thank you: it counts.",
  waiting: "Thank you: it counts as soon as the prediction has reached the log.",
  repeated: "That was known already.",
  corrected: "Thank you: corrected.",
  unknown: "No such prediction is known.",
};

export class Feedback {
  #form; #thanks; #server; #prediction = "";

  // `part` finds an element of the pane by its name.
  constructor(part, server) {
    this.#form = part("feedback");
    this.#thanks = part("thanks");
    this.#server = server;
    const { right, wrong, label } = this.#form.elements;
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    right.addEventListener("click", () => this.#tell(right.value));
    wrong.addEventListener("click", () => { if (label.value) this.#tell(label.value); else label.focus(); });
  }

  // The labels that there are.
  set classes(names) {
    this.#form.elements.label.replaceChildren(new Option("choose", ""), ...names.map((name) => new Option(name, name)));
  }

  // Ask whether this verdict was right; nothing, where it is null or cannot be told apart from others.
  ask(verdict) {
    const { right, label } = this.#form.elements;
    this.#prediction = verdict?.prediction_id ?? "";
    this.#form.hidden = !this.#prediction;
    right.textContent = `Yes, ${verdict?.label ?? ""}`;
    right.value = verdict?.label ?? "";
    label.value = this.#thanks.textContent = "";
  }

  async #tell(label) {
    const prediction = this.#prediction;
    let said;
    try {
      const { answer } = await this.#server.post("/feedback", JSON.stringify({ prediction_id: prediction, label }));
      said = OUTCOMES[answer.outcome] ?? answer.text;
    } catch (trouble) {
      said = `It could not be saved. ${trouble.message} ${trouble.hint ?? ""}`;
    }
    if (prediction === this.#prediction) this.#thanks.textContent = said;
  }
}
