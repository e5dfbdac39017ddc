/** The same request as code to paste: for curl, Python and JavaScript. */

import { quote } from "./commands.js";

/** @typedef {import("./commands.js").Asked} Asked */

/** @type {Map<string, (asked: Asked) => string>} */
export const LANGUAGES = new Map([
  ["curl", writeCurl], ["Python", writePython], ["JavaScript", writeJavaScript],
]);

/** @param {Asked} asked @returns {string} */
function writeCurl(asked) {
  const { name, mask, sampleOf, keyed, server } = asked;
  const file = (/** @type {string} */ path) =>
    (/[;,"\\]/.test(path) ? `"${path.replace(/["\\]/g, "\\$&")}"` : path);
  const parts = [`image=@${file(name)}`];
  if (mask) parts.push(`mask=@${file(mask)}`);
  parts.push(...listFields(asked).map(([field, value]) => `${field}=${value}`));
  const lines = parts.map((part) => `-F ${quote(part)}`);
  // A variable instead of the key, because the code may be pasted where others read it.
  if (keyed) lines.push('-H "Authorization: Bearer $LACUNA_KEY"');
  const files = listFiles(asked).map((path) => `-O ${quote(`${server}samples/${sampleOf}/${path}`)}`);
  const fetched = sampleOf ? `curl ${files.join(" \\\n  ")}\n` : "";
  return `${fetched}curl ${lines.join(" \\\n  ")} \\\n  ${quote(`${server}v1/segment`)}`;
}

/** @param {Asked} asked @returns {string} */
function writePython(asked) {
  const { name, mask, sampleOf, keyed, server } = asked;
  const given = [name, mask].filter(Boolean).map((path) => JSON.stringify(path));
  const named = listFields(asked).map(([field, value]) => `${field}=${writeValue(field, value)}`);
  const key = keyed ? ', api_key=os.environ["LACUNA_KEY"]' : "";
  return [
    "# pip install lacuna-segmentation",
    ...keyed ? ["import os"] : [],
    ...sampleOf ? ["from urllib.request import urlretrieve"] : [],
    ...keyed || sampleOf ? [""] : [],
    "from lacuna import Client",
    "",
    ...sampleOf ? [`for name in [${listFiles(asked).map((path) => JSON.stringify(path)).join(", ")}]:`,
      `    urlretrieve(${JSON.stringify(`${server}samples/${sampleOf}/`)} + name, name)`] : [],
    `with Client(${JSON.stringify(server)}${key}) as client:`,
    `    result = client.segment(${[...given, ...named].join(", ")})`,
    "print(result.areas)",
  ].join("\n");
}

/** @param {Asked} asked @returns {string} */
function writeJavaScript(asked) {
  const { name, mask, sampleOf, keyed, server } = asked;
  const open = (/** @type {string} */ path) => (sampleOf
    ? `await (await fetch(${JSON.stringify(`${server}samples/${sampleOf}/${path}`)})).blob()`
    : `await openAsBlob(${JSON.stringify(path)})`);
  const add = (/** @type {string} */ field, /** @type {string} */ path) =>
    `form.append("${field}", ${open(path)}, ${JSON.stringify(path)});`;
  const headers = keyed
    ? ["  headers: { Authorization: `Bearer ${process.env.LACUNA_KEY}` },"] : [];
  return [
    "// Node.js 20 or newer, as a module",
    ...sampleOf ? [] : ['const { openAsBlob } = await import("node:fs");'],
    "const form = new FormData();",
    add("image", name),
    ...mask ? [add("mask", mask)] : [],
    ...listFields(asked).map(([field, value]) =>
      `form.append("${field}", ${JSON.stringify(value)});`),
    `const answer = await fetch(${JSON.stringify(`${server}v1/segment`)}, {`,
    '  method: "POST",',
    "  body: form,",
    ...headers,
    "});",
    "const result = await answer.json();",
    "if (!answer.ok) throw new Error(result.detail);",
    "console.log(result.classes);",
  ].join("\n");
}

/** @param {Asked} asked @returns {string[]} names of the files that are needed */
function listFiles({ name, mask }) {
  return [name, mask].filter(Boolean);
}

/** @param {Asked} asked @returns {[string, string][]} fields besides the files */
function listFields({ model, version, nodata, stretch }) {
  /** @type {[string, string][]} */
  const fields = [["model", model], ["version", version], ["nodata", nodata],
    ["stretch", stretch ? "percentile" : ""]];
  return fields.filter(([, value]) => value);
}

/** @param {string} field @param {string} value @returns {string} in Python */
function writeValue(field, value) {
  if (field !== "nodata" || value.toLowerCase() === "none") return JSON.stringify(value);
  return Number.isNaN(Number(value)) ? 'float("nan")' : String(Number(value));
}
