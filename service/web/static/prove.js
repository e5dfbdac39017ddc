/** "Prove it": compares the labels of a picture with those of a disturbed copy. */

import { segment } from "./api.js";
import { background } from "./background.js";
import { count, find } from "./dom.js";
import { describeError } from "./run.js";
import { readColor } from "./tiles.js";

const MOST_PADDING = 96;
/** Pixels of the largest picture that is sent whole. */
const WHOLE_PIXELS = 2048 ** 2;
const PART_SIDE = 1024;
const LEAST_SIDE = 16;

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
    find("prove").disabled = !hasNumbers;
    find("prove-note").textContent =
      hasNumbers ? "Noise under the mask, a larger canvas: how many labels change?"
        : "Not available for this file, because the page does not know its pixel values.";
  });
}

/**
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 * @param {AbortSignal} signal
 */
async function compare(session, chooser, signal) {
  if (!await session.settle()) throw new Error("The picture or its mask could not be changed.");
  signal.throwIfAborted();
  const { picture, mask, stretch } = session;
  if (!picture || !mask) return;
  const { cells } = mask;
  const side = chooseSide(session, chooser);
  const part = await background.choosePart(cells, { width: mask.width, height: mask.height }, side);
  const { width, height } = part;
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
  const first = background.makePlain(picture.source, cells, part).then(ask);
  const second = askDisturbed(
    (grown) => background.makeDisturbed(picture.source, cells, part, grown), ask);
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
  find("proof-note").textContent = describePart(part, mask) + (wider
    ? `Missing pixels were replaced by noise, and the canvas grew by ${wider} px on the right ` +
      `and ${higher} px at the bottom. Both pictures were sent again, and all labels compared.`
    : "Missing pixels were replaced by noise. The picture has the maximum size of the server, so " +
      "its canvas could not grow. Both pictures were sent again, and all labels compared.");
}

/**
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 * @returns {number} side of the part that is sent; of a picture that is not large, of all of it
 */
function chooseSide({ picture, answer }, { chosen }) {
  const { width, height } = picture ?? { width: 0, height: 0 };
  if (!answer?.windows && width * height <= WHOLE_PIXELS) return Math.max(width, height);
  const most = Math.floor(Math.sqrt(chosen?.limits?.image_pixels ?? Infinity));
  return Math.max(LEAST_SIDE, Math.min(PART_SIDE, most - MOST_PADDING));
}

/** @param {import("./windows.js").Box} part @param {{width: number, height: number}} whole */
function describePart({ x, y, width, height }, whole) {
  if (width === whole.width && height === whole.height) return "";
  return `This is a part of ${count(width)} × ${count(height)} pixels, from column ${count(x)} and ` +
    `row ${count(y)}. `;
}

/**
 * @param {(grown: {right: number, bottom: number}) => Promise<{image: Blob, mask: Blob}>} make
 * @param {(pair: {image: Blob, mask: Blob}) => Promise<Half>} ask
 */
async function askDisturbed(make, ask) {
  try {
    return await ask(await make({ right: choosePadding(), bottom: choosePadding() }));
  } catch (error) {
    if (error.code !== "image_too_large") throw error;
    return ask(await make({ right: 0, bottom: 0 }));
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
