// Asks a model, and prints what it answers:
//
//   node predict.mjs http://127.0.0.1:8501 messages '{"text": "You have won a prize"}'
//   node predict.mjs http://127.0.0.1:8501 digits digit.png

import { readFile } from "node:fs/promises";

import { Client } from "./fairlead.mjs";

const [url, model, question] = process.argv.slice(2);
if (!question) {
  console.error("usage: node predict.mjs URL MODEL JSON-OR-PICTURE");
  process.exit(2);
}
const client = new Client(url, { apiKey: process.env.API_KEY });
try {
  const asked = question.trimStart().startsWith("{") ? JSON.parse(question) : await readFile(question);
  console.log(JSON.stringify(await client.predict(model, asked)));
} catch (error) {
  console.error(`${error.code ?? error.name}: ${error.message}${error.hint ? ` (${error.hint})` : ""}`);
  process.exit(1);
}
