/** Files to save: the labels in several forms, and the mask. */

import { request } from "./api.js";
import { background } from "./background.js";
import { find, make } from "./dom.js";
import { MARKED } from "./mask.js";
import { readColor } from "./tiles.js";

/** Files that the server makes, because only it knows the image's place on the earth. */
const BY_SERVER = new Map([
  ["tif", "image/tiff"],
  ["geojson", "application/geo+json"],
]);

/**
 * @param {import("./session.js").Session} session
 * @param {(work: () => Promise<void>) => void} attempt runs work, and shows its error
 */
export function setUpDownloads(session, attempt) {
  /** @type {NodeListOf<HTMLButtonElement>} */
  const buttons = document.querySelectorAll("[data-download]");
  for (const button of buttons) {
    const kind = button.dataset.download ?? "";
    button.addEventListener("click", () => attempt(BY_SERVER.has(kind)
      ? () => askServer(session, kind, button) : () => download(session, kind)));
  }
  session.addEventListener("answer", () => {
    const isPlaced = Boolean(session.answer?.summary.georeference);
    for (const button of buttons) {
      if (BY_SERVER.has(button.dataset.download ?? "")) button.hidden = !isPlaced;
    }
  });
}

/** @param {import("./session.js").Session} session @param {string} kind */
async function download(session, kind) {
  const { answer, picture, mask } = session;
  if (!picture || !mask) return;
  const { width, height } = mask;
  if (kind === "mask") {
    save("mask.png", await background.writeMaskPng(mask.cells, width, height, MARKED));
    return;
  }
  if (!answer) throw new Error("There is no result yet.");
  if (kind === "overlay") {
    save(`${nameFile(picture)}-overlay.png`, await background.drawOverlay(
      picture.bitmap, answer.labels, readColors(answer), Number(find("opacity").value) / 100));
    return;
  }
  save(`${nameLabels(picture)}.${kind}`, await write(answer, kind, width, height));
}

/**
 * @param {import("./session.js").Answer} answer
 * @param {string} kind
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Blob>}
 */
async function write({ content, summary, labels }, kind, width, height) {
  if (kind === "npy") return background.writeLabelsNpy(labels, width, height);
  if (kind === "json") {
    return content ?? background.writeSummary(summary, labels);
  }
  return background.writeLabelsPng(labels, width, height, readColors({ summary }));
}

/** @param {{summary: any}} answer @returns {number[][]} colours of its classes */
export function readColors({ summary }) {
  return summary.classes.map((/** @type {any} */ { color }) => readColor(color));
}

/**
 * Segment the same image again, by the same version, with a file for an answer.
 *
 * @param {import("./session.js").Session} session
 * @param {string} kind
 * @param {HTMLButtonElement} button
 */
async function askServer({ answer, picture }, kind, button) {
  if (!answer?.question || !picture || button.disabled) return;
  const { name, version } = answer.summary.model;
  const isFocused = document.activeElement === button;
  const note = find("download-note");
  button.disabled = true;
  note.textContent = `The server makes the ${button.textContent} file…`;
  try {
    const { content } = await request({ ...answer.question, model: name, version },
      BY_SERVER.get(kind) ?? "");
    save(`${nameLabels(picture)}.${kind}`, content);
  } finally {
    note.textContent = "";
    button.disabled = false;
    // A disabled button has lost the focus.
    if (isFocused && document.activeElement === document.body) button.focus();
  }
}

/** @param {import("./session.js").Picture} picture */
function nameLabels(picture) {
  return `${nameFile(picture)}-labels`;
}

/** @param {import("./session.js").Picture} picture */
function nameFile({ name }) {
  return name.replace(/\.[^.]*$/, "");
}

/** @param {string} name @param {Blob} file */
export function save(name, file) {
  const url = URL.createObjectURL(file);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
