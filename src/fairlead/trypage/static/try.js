// The page on which people try a model: what is on it, and what happens when.

import { Answer } from "./answer.js";
import { Code } from "./code.js";
import { Drawing } from "./drawing.js";
import { Feedback } from "./feedback.js";
import { blank, body, DIALECTS, path } from "./request.js";
import { Newest, Server, Trouble } from "./server.js";
import { switches } from "./switches.js";

const TABS = { handwriting: ["draw", "picture", "json"], picture: ["picture", "json"], text: ["text", "json"], rows: ["json"] };
const HINTS = {
  draw: "Draw something: the answer follows your hand.",
  picture: "Give it a picture.",
  text: "Type a message.",
  json: "Send the request.",
};
const PAUSE_MS = 120, TYPING_MS = 350, AGAIN_MS = 2000, MOST_BASE64 = 20_000;

const root = document.getElementById("try");
const part = (name) => document.getElementById(`try-${name}`);
const choice = part("choice").elements;
const server = new Server(root.dataset.api, root.dataset.token);
const origin = root.dataset.origin || new URL(root.dataset.api, document.baseURI).href.replace(/\/$/, "");
const answer = new Answer(part), drawing = new Drawing(part("canvas")), code = new Code(part), feedback = new Feedback(part, server);

let known = { models: [], default: null, feedback: false };
let tab = "", dialect = "simple";
let asked = null; // what the last answer is about: tensors, and the picture they were made of
let file = null; // the picture that was dropped or chosen
let shape = ""; // of the inputs that `asked` fits
let round = 0; // goes up whenever answers that are still on their way have become pointless

// -- what there is ------------------------------------------------------------------------------------------------

async function load() {
  const before = JSON.stringify(known);
  try {
    known = await server.models();
  } catch (trouble) {
    empty(trouble.message, trouble.hint);
    return;
  }
  if (JSON.stringify(known) === before && !part("columns").hidden) return;
  const names = known.models.filter((one) => one.versions.length).map((one) => one.name);
  if (!names.length) {
    empty("No model answers yet.", "Train one with:", "fairlead train digits");
    return;
  }
  part("empty").hidden = true;
  part("columns").hidden = false;
  offer(choice.model, names.map((name) => [name, name]), [root.dataset.model, known.default]);
  chooseModel();
}

// Say why nothing can be asked, and look again in a moment.
function empty(message, hint, command = "") {
  const next = document.createElement("code");
  next.textContent = command;
  part("columns").hidden = true;
  part("empty").hidden = false;
  if (part("empty").textContent !== `${message} ${hint} ${command}`) part("empty").replaceChildren(`${message} ${hint} `, next);
  setTimeout(load, AGAIN_MS);
}

// Fill `select`; what was chosen stays so, else the first of `wanted` that is offered is.
function offer(select, entries, wanted = []) {
  const values = entries.map(([value]) => value);
  const chosen = [select.value, ...wanted].find((value) => values.includes(value)) ?? values[0];
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
  select.value = chosen;
}

function chooseModel() {
  const { versions } = chosenModel();
  const labels = versions.flatMap((one) => one.labels.map((label) => [`label ${label}`, `${label} (version ${one.version})`]));
  const numbers = versions.map((one) => [`version ${one.version}`, `version ${one.version}`]);
  offer(choice.version, [["", "as released"], ...labels, ...numbers]);
  chooseVersion();
}

function chooseVersion() {
  const { takes, classes, inputs } = described();
  feedback.classes = classes;
  for (const one of Object.keys(HINTS)) part(`tab-${one}`).hidden = !TABS[takes].includes(one);
  if (JSON.stringify(inputs) !== shape) asked = null;
  shape = JSON.stringify(inputs);
  show(TABS[takes].includes(tab) ? tab : TABS[takes][0]);
}

function chosenModel() { return known.models.find((one) => one.name === choice.model.value); }

// The kind of what was chosen, "label" or "version" or neither, and its name.
function chosenVersion() {
  const [kind, ...rest] = choice.version.value.split(" ");
  return [kind, rest.join(" ")];
}

// What is asked for, as `path` takes it.
function target() {
  const [kind, name] = chosenVersion();
  return { model: choice.model.value, version: kind === "version" ? name : "", label: kind === "label" ? name : "", served: described().version };
}

// The version that is asked for, as far as that is known beforehand.
function described() {
  const { versions } = chosenModel(), [kind, name] = chosenVersion();
  const isMeant = (one) => (kind === "version" ? String(one.version) === name : one.labels.includes(name || "stable"));
  return versions.find(isMeant) ?? versions[0];
}

// -- ways to ask --------------------------------------------------------------------------------------------------

function show(which) {
  tab = which;
  leave();
  for (const one of Object.keys(HINTS)) {
    part(one).hidden = one !== which;
    part(`tab-${one}`).setAttribute("aria-selected", one === which);
    part(`tab-${one}`).tabIndex = one === which ? 0 : -1;
  }
  if (which === "json") compose();
  else ask();
}

// Ask what stands on the tab that is open, if anything does.
function ask() {
  const given = { draw: () => !drawing.isEmpty && (() => drawing.picture()), picture: () => file && (() => file), text: typed }[tab]?.();
  if (given) {
    questions.give(given);
    return;
  }
  leave();
  code.show(null);
  feedback.ask(null);
  answer.clear(HINTS[tab]);
}

// Let go of what was asked: its answers are not wanted any more.
function leave() {
  round++;
  questions.forget();
}

function typed() {
  const text = part("message").value;
  const [{ name, shape }] = described().inputs;
  return text.trim() && (() => ({ tensors: { [name]: shape.length > 1 ? [[text]] : [text] } }));
}

const questions = new Newest(async (given) => {
  const mine = round, specs = described().inputs, where = path("simple", target()), what = await given();
  if (mine !== round) return;
  if (what instanceof Blob) {
    const text = async () => body("simple", { picture: await base64(what) }, specs);
    code.show(async () => ({ url: origin + where, ...(what === file ? { file: file.name } : { text: await text() }) }));
    await follow(server.post(`${where}&inputs=true`, what), ({ inputs }) => { asked = { tensors: inputs, blob: what }; });
  } else {
    const text = body("simple", what, specs);
    code.show(() => ({ url: origin + where, text }));
    await follow(server.post(where, text), () => { asked = what; });
  }
}, PAUSE_MS);

// Show what comes of a request, unless something else is wanted by then.
async function follow(request, keep = () => {}) {
  const mine = round;
  try {
    const { answer: got, took } = await request;
    if (mine !== round) return;
    keep(got);
    const verdict = answer.show(got, took);
    feedback.ask(known.feedback ? verdict : null);
  } catch (trouble) {
    if (!(trouble instanceof Trouble)) reportError(trouble); // of this page: it goes on, and the browser is told
    if (mine !== round) return;
    feedback.ask(null);
    answer.fail(trouble);
  }
}

function take(files) {
  if (!files.length || part("tab-picture").hidden) return;
  [file] = part("file").files = files;
  URL.revokeObjectURL(part("preview").src);
  part("preview").src = URL.createObjectURL(file);
  part("preview").hidden = false;
  show("picture");
}

async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

// -- the request as JSON ------------------------------------------------------------------------------------------

// Write the last request as JSON, or one that is to be filled in.
async function compose() {
  const specs = described().inputs, mine = round;
  const picture = asked?.blob?.size < MOST_BASE64 ? await base64(asked.blob) : "";
  if (mine !== round) return;
  part("body").value = body(dialect, { picture, tensors: asked?.tensors ?? blank(specs) }, specs);
  write();
  feedback.ask(null);
  answer.clear(HINTS.json);
}

function write() {
  const where = path(dialect, target()), text = part("body").value;
  part("url").textContent = `POST ${where}`;
  code.show(() => ({ url: origin + where, text }));
}

function send() {
  leave();
  follow(server.post(path(dialect, target()), part("body").value));
}

// -- what happens when --------------------------------------------------------------------------------------------

function moveBetweenTabs(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const open = TABS[described().takes], next = open.at((open.indexOf(tab) + step) % open.length);
  show(next);
  part(`tab-${next}`).focus();
  event.preventDefault();
}

function listen() {
  for (const digit of "0123456789") {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: digit });
    button.addEventListener("click", () => drawing.show(Number(digit)));
    part("examples").append(button);
  }
  switches(part("dialects"), DIALECTS, (value) => { dialect = value; leave(); compose(); });
  part("choice").addEventListener("submit", (event) => event.preventDefault());
  choice.model.addEventListener("change", chooseModel);
  choice.version.addEventListener("change", chooseVersion);
  for (const one of Object.keys(HINTS)) part(`tab-${one}`).addEventListener("click", () => show(one));
  part("tabs").addEventListener("keydown", moveBetweenTabs);

  drawing.addEventListener("change", () => { if (tab === "draw") ask(); });
  part("undo").addEventListener("click", () => drawing.undo());
  part("clear").addEventListener("click", () => drawing.clear());
  part("preview").addEventListener("error", () => { part("preview").hidden = true; }); // no picture: the server says so

  part("file").addEventListener("change", (event) => take(event.target.files));
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files); });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));

  let typing = 0;
  part("message").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(ask, TYPING_MS); });

  part("body").addEventListener("input", write);
  part("send").addEventListener("click", send);

  document.addEventListener("visibilitychange", () => { if (!document.hidden && !part("columns").hidden) load(); });
}

listen();
load();
