/** The picture with its labels over it, and missing pixels hatched. Runs in the worker. */

import { makeHatch } from "./hatch.js";
import { MISSING } from "./summary.js";
import { makePalette } from "./tiles.js";

/**
 * @param {ImageBitmap} bitmap the picture
 * @param {Uint8Array} labels H × W
 * @param {number[][]} colors red, green and blue of the classes 0, 1, …
 * @param {number} opacity of the labels, of 1
 * @returns {Promise<Blob>} PNG of the picture's size
 */
export async function drawOverlay(bitmap, labels, colors, opacity) {
  const { width, height } = bitmap;
  const layer = makeLayer(labels, width, height,
    makePalette((label) => (label === MISSING ? null : colors[label] ?? null)));
  const hatch = makeLayer(labels, width, height,
    makePalette((label) => (label === MISSING ? [0, 0, 0] : null)));
  const pen = getContext(hatch);
  pen.globalCompositeOperation = "source-in";
  pen.fillStyle = makeHatch(/** @type {any} */ (pen), false);
  pen.fillRect(0, 0, width, height);
  const canvas = new OffscreenCanvas(width, height);
  const context = getContext(canvas);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  context.globalAlpha = opacity;
  context.drawImage(layer, 0, 0);
  context.globalAlpha = 1;
  context.drawImage(hatch, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/**
 * @param {Uint8Array} cells
 * @param {number} width
 * @param {number} height
 * @param {Uint32Array} palette
 */
function makeLayer(cells, width, height, palette) {
  const picture = new ImageData(width, height);
  const colors = new Uint32Array(picture.data.buffer);
  for (let at = 0; at < colors.length; at++) colors[at] = palette[cells[at]];
  const canvas = new OffscreenCanvas(width, height);
  getContext(canvas).putImageData(picture, 0, 0);
  return canvas;
}

/** @param {OffscreenCanvas} canvas */
function getContext(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("The browser has no memory for a picture of this size.");
  return context;
}
