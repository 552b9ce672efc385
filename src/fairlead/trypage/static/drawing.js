// A sheet of paper to draw on: strokes of a mouse, a finger or a pen, or those of an example.

const SIDE = 280, WIDTH = 30;

// Each digit as strokes through points in a square of 100.
const DIGITS = [
  [[50, 12, 30, 20, 22, 50, 30, 80, 50, 88, 70, 80, 78, 50, 70, 20, 50, 12]],
  [[58, 12, 50, 50, 44, 88]],
  [[26, 30, 34, 15, 52, 11, 70, 20, 70, 38, 52, 60, 26, 87, 76, 87]],
  [[28, 20, 44, 11, 64, 15, 68, 31, 58, 44, 42, 48, 62, 52, 72, 66, 66, 82, 46, 89, 26, 80]],
  [[60, 10, 24, 62, 78, 62], [62, 38, 62, 90]],
  [[70, 12, 34, 12, 30, 44, 50, 40, 68, 50, 70, 70, 56, 87, 36, 87, 26, 78]],
  [[64, 11, 42, 26, 29, 52, 29, 74, 44, 88, 62, 84, 70, 68, 62, 54, 46, 52, 31, 64]],
  [[26, 26, 26, 14, 26, 14, 74, 14, 74, 14, 56, 50, 46, 88]], // a point given twice makes a corner
  [[52, 47, 34, 38, 32, 22, 48, 11, 66, 19, 66, 34, 52, 47, 34, 60, 30, 76, 46, 89, 66, 82, 70, 66, 52, 47]],
  [[68, 36, 54, 48, 36, 42, 32, 26, 44, 12, 62, 14, 69, 30, 66, 62, 54, 89]],
];

export class Drawing extends EventTarget {
  // Tells of every change by an event "change".
  #canvas; #paper; #strokes = []; #pointer = null;

  constructor(canvas) {
    super();
    this.#canvas = canvas;
    this.#paper = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#go(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.#pointer = null; });
    canvas.addEventListener("keydown", (event) => this.#press(event));
    this.#draw();
  }

  get isEmpty() { return this.#strokes.length === 0; }

  clear() { this.#change([]); }

  undo() { this.#change(this.#strokes.slice(0, -1)); }

  show(digit) { this.#change(DIGITS[digit].map((flat) => points(flat))); }

  // What is on the paper, as a PNG file.
  picture() { return new Promise((resolve) => { this.#canvas.toBlob(resolve, "image/png"); }); }

  #change(strokes) {
    this.#strokes = strokes;
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  #begin(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#change([...this.#strokes, [this.#place(event)]]);
  }

  #go(event) {
    if (event.pointerId !== this.#pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];
    this.#strokes.at(-1).push(...(between.length ? between : [event]).map((one) => this.#place(one)));
    this.#change(this.#strokes);
  }

  #press(event) {
    if (event.ctrlKey ? event.key !== "z" : event.altKey || event.metaKey) return;
    if (/^[0-9]$/.test(event.key)) this.show(Number(event.key));
    else if (event.key === "Backspace" || event.key === "z") this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
  }

  #draw() {
    const paper = this.#paper;
    paper.fillStyle = "#fff";
    paper.fillRect(0, 0, SIDE, SIDE);
    paper.strokeStyle = "#111";
    paper.lineWidth = WIDTH;
    paper.lineCap = paper.lineJoin = "round";
    for (const stroke of this.#strokes) {
      paper.beginPath();
      paper.moveTo(...stroke[0]);
      // Curves from middle to middle: a hand makes no corners between two looks at where it is.
      for (let at = 1; at < stroke.length - 1; at++) paper.quadraticCurveTo(...stroke[at], ...middle(stroke[at], stroke[at + 1]));
      const [x, y] = stroke.at(-1);
      paper.lineTo(x + (stroke.length === 1 ? 0.1 : 0), y); // a line without length would leave no dot
      paper.stroke();
    }
  }
}

function points(flat) {
  const found = [];
  for (let at = 0; at < flat.length; at += 2) found.push([flat[at] * SIDE / 100, flat[at + 1] * SIDE / 100]);
  return found;
}

function middle(one, other) { return [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2]; }
