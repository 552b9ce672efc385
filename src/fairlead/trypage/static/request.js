// What is sent to a model through each interface, and the same as code to copy. Nothing here does anything.

export const DIALECTS = { simple: "Simple", tfserving: "TensorFlow Serving", v2: "V2" };
export const LANGUAGES = { curl: "curl", python: "Python", javascript: "JavaScript" };

const MOST_ZEROS = 20_000;
const ZEROS = { string: "a text", bool: false };

// Where a request goes. `choice` names a model, and a version or a label or neither; `served` is the version that this means.
export function path(dialect, { model, version, label, served }) {
  const name = encodeURIComponent(model);
  if (dialect === "v2") {
    const number = label ? served : version; // it knows no labels
    return `/v2/models/${name}${number ? `/versions/${number}` : ""}/infer`;
  }
  if (dialect === "tfserving") {
    const which = version ? `/versions/${version}` : label ? `/labels/${encodeURIComponent(label)}` : "";
    return `/v1/models/${name}${which}:predict`;
  }
  return `/predict?${new URLSearchParams({ model, ...(version && { version }), ...(label && { label }) })}`;
}

// The JSON text that asks about `given`: tensors by name, and the base64 of the picture that they were made of, if one was.
export function body(dialect, { tensors, picture }, specs) {
  if (dialect === "simple" && picture) return write({ image: picture });
  if (dialect === "v2") return write({ inputs: specs.map((spec) => v2Tensor(spec, tensors[spec.name])) });
  const [first] = specs;
  if (specs.length === 1) return write({ instances: tensors[first.name] });
  return write({ instances: tensors[first.name].map((_, row) => Object.fromEntries(specs.map(({ name }) => [name, tensors[name][row]]))) });
}

// One row of zeros, to be filled in; no row, where it would be too long to read.
export function blank(specs) {
  const size = specs.reduce((sum, { shape }) => sum + (shape ?? []).reduce((all, one) => all * Math.abs(one), 1), 0);
  return Object.fromEntries(specs.map(({ name, dtype, shape }) => [name, size > MOST_ZEROS ? [] : zeros(shape?.length ? shape : [1], dtype)]));
}

// `request` as code: `url`, and the JSON `text` or the name of the `file` that is sent.
export function snippet(language, { url, text, file }) {
  return WRITERS[language](url, text, file);
}

const WRITERS = {
  curl: (url, text, file) => `curl ${word(url)} \\\n  ${file ? `--data-binary ${word(`@${file}`)}` : `-H 'Content-Type: application/json' \\\n  -d ${word(text)}`}`,
  python: (url, text, file) => `from urllib.request import Request, urlopen

body = ${file ? `open(${literal(file)}, "rb").read()` : `${literal(text)}.encode()`}
request = Request(${literal(url)}, body, {"Content-Type": "${file ? "application/octet-stream" : "application/json"}"})
print(urlopen(request).read().decode())`,
  javascript: (url, text, file) => `${file ? `import { readFile } from "node:fs/promises";\n\n` : ""}const answer = await fetch(${literal(url)}, {
  method: "POST",
  headers: { "Content-Type": "${file ? "application/octet-stream" : "application/json"}" },
  body: ${file ? `await readFile(${literal(file)})` : literal(text)},
});
console.log(await answer.json());`,
};

function v2Tensor({ name, dtype }, tensor) {
  const shape = [];
  for (let level = tensor; Array.isArray(level); [level] = level) shape.push(level.length);
  return { name, shape, datatype: datatype(dtype), data: tensor.flat(Infinity) };
}

function datatype(dtype) {
  return dtype === "string" ? "BYTES" : dtype.startsWith("float") ? `FP${dtype.slice(5)}` : dtype.toUpperCase();
}

function zeros([length, ...rest], dtype) {
  const item = () => rest.length ? zeros(rest, dtype) : ZEROS[dtype] ?? 0;
  return Array.from({ length: length < 0 ? 1 : length }, item);
}

// JSON on one line, with spaces where a person would put them.
function write(value) {
  if (Array.isArray(value)) return `[${value.map(write).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${write(one)}`).join(", ")}}`;
}

// A word for a POSIX shell.
function word(text) { return `'${text.replaceAll("'", "'\\''")}'`; }

// A string for Python and JavaScript alike.
function literal(text) {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `'${escaped}'`;
}
