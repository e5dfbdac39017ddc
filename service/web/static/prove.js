/** "Prove it": compares the labels of a picture with those of a disturbed copy. */

import { segment } from "./api.js";
import { background } from "./background.js";
import { count, find } from "./dom.js";
import { describeError } from "./run.js";
import { readColor } from "./tiles.js";

const MOST_PADDING = 96;

/** @typedef {{image: Blob, mask: Blob, labels: Uint8Array, width: number, height: number,
 *   classes: any[]}} Half */

/**
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 */
export function setUpProof(session, chooser) {
  const dialog = find("proof");
  /** @type {AbortController|null} */
  let controller = null;
  const prove = async () => {
    controller?.abort();
    const mine = controller = new AbortController();
    clear();
    try {
      await compare(session, chooser, mine.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      find("verdict").textContent = describeError(error);
      find("verdict").dataset.kind = "error";
    } finally {
      if (controller === mine) find("again").disabled = false;
    }
  };
  find("prove").addEventListener("click", () => {
    dialog.showModal();
    prove();
  });
  find("again").addEventListener("click", prove);
  find("proof-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => controller?.abort());
  session.addEventListener("answer", () => {
    const { hasNumbers } = session.picture ?? { hasNumbers: false };
    const isWhole = !session.answer?.windows;
    find("prove").disabled = !hasNumbers || !isWhole;
    find("prove-note").textContent = !isWhole
      ? "Not available for this image, because the server does not take it at once."
      : hasNumbers ? "Noise under the mask, a larger canvas: how many labels change?"
        : "Not available for this file, because the page does not know its pixel values.";
  });
}

/**
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 * @param {AbortSignal} signal
 */
async function compare({ picture, mask, stretch }, chooser, signal) {
  if (!picture || !mask) return;
  const { width, height } = picture;
  const [right, bottom] = [choosePadding(), choosePadding()];
  /** @param {{image: Blob, mask: Blob}} pair @returns {Promise<Half>} */
  const ask = async ({ image, mask: file }) => {
    const question = {
      image, imageName: "image", mask: file, model: chooser.model, version: chooser.version,
      nodata: "", stretch: stretch ? "percentile" : "",
    };
    const { content } = await segment(question, { signal });
    const { labels, summary } = await background.readAnswer(content);
    const { size, classes } = summary;
    return { image, mask: file, labels, classes, width: size.width, height: size.height };
  };
  const cells = mask.cells;
  const first = background.makePlain(cells).then(ask);
  const second = askDisturbed(cells, right, bottom, ask);
  const [plain, disturbed] = await Promise.all([first, second]);
  signal.throwIfAborted();
  const { valid, changed, beyond } = await background.compareLabels(
    plain.labels, width, height, disturbed.labels, disturbed.width);
  // At one scale, so that they can be compared by eye.
  await Promise.all([
    show("plain", plain, width / disturbed.width), show("disturbed", disturbed, 1)]);
  signal.throwIfAborted();
  showVerdict(valid, changed + beyond);
  const [wider, higher] = [disturbed.width - width, disturbed.height - height];
  find("proof-note").textContent = wider
    ? `Missing pixels were replaced by noise, and the canvas grew by ${wider} px on the right ` +
      `and ${higher} px at the bottom. Both pictures were sent again, and all labels compared.`
    : "Missing pixels were replaced by noise. The picture has the maximum size of the server, so " +
      "its canvas could not grow. Both pictures were sent again, and all labels compared.";
}

/**
 * @param {Uint8Array} cells
 * @param {number} right
 * @param {number} bottom
 * @param {(pair: {image: Blob, mask: Blob}) => Promise<Half>} ask
 */
async function askDisturbed(cells, right, bottom, ask) {
  try {
    return await ask(await background.makeDisturbed(cells, right, bottom));
  } catch (error) {
    if (error.code !== "image_too_large") throw error;
    return ask(await background.makeDisturbed(cells, 0, 0));
  }
}

function choosePadding() {
  return 1 + Math.floor(Math.random() * MOST_PADDING);
}

/** @param {number} valid @param {number} changed */
function showVerdict(valid, changed) {
  find("verdict").dataset.kind = changed ? "broken" : "kept";
  find("verdict").replaceChildren(
    Object.assign(document.createElement("b"), { textContent: count(changed) }),
    ` of ${count(valid)} labels changed`);
}

function clear() {
  find("verdict").textContent = "Sending both…";
  find("verdict").dataset.kind = "running";
  find("proof-note").textContent = "";
  find("again").disabled = true;
  for (const which of ["plain", "disturbed"]) {
    find(`${which}-size`).textContent = "";
    for (const part of ["image", "labels"]) setPicture(find(`${which}-${part}`), null);
  }
}

/** @param {string} which @param {Half} half @param {number} part of the column that it takes */
async function show(which, { image, labels, width, height, classes }, part) {
  const colors = classes.map(({ color }) => readColor(color));
  find(`${which}-size`).textContent = `${count(width)} × ${count(height)}`;
  for (const element of [find(`${which}-image`), find(`${which}-labels`)]) {
    element.style.width = `${part * 100}%`;
  }
  if (image.type.startsWith("image/")) setPicture(find(`${which}-image`), image);
  setPicture(find(`${which}-labels`),
    await background.writeLabelsPng(labels, width, height, colors));
}

/** @param {HTMLImageElement} element @param {Blob|null} blob */
function setPicture(element, blob) {
  if (element.src) URL.revokeObjectURL(element.src);
  element.hidden = !blob;
  if (blob) element.src = URL.createObjectURL(blob);
  else element.removeAttribute("src");
}
