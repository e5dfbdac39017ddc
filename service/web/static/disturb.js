/**
 * Images that "Prove it" sends: the picture unchanged, and with noise under its mask on a larger
 * canvas. Both are encoded in the same way, so that nothing else differs. Runs in the worker.
 */

import { writeNpy } from "./npy.js";
import { writeMaskPng, writeRgbPng } from "./png.js";

/** @typedef {import("./raster.js").Raster} Raster */
/** @typedef {{image: Blob, mask: Blob}} Pair */

/**
 * @param {Raster} raster
 * @param {Uint8Array} cells H × W, 0 = valid
 * @returns {Promise<Pair>}
 */
export async function plain(raster, cells) {
  const { width, height } = raster;
  return write(raster, pick(raster), cells, width, height);
}

/**
 * @param {Raster} raster
 * @param {Uint8Array} cells H × W, 0 = valid
 * @param {number} right pixels that the canvas grows by
 * @param {number} bottom
 * @returns {Promise<Pair>}
 */
export async function disturb(raster, cells, right, bottom) {
  const { width, height, channels, values: kindOf } = raster;
  const [wide, high] = [width + right, height + bottom];
  const original = pick(raster);
  const values = new (/** @type {any} */ (kindOf.constructor))(wide * high * channels);
  const missing = new Uint8Array(wide * high).fill(1);
  const next = makeNoise(values);
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      const to = y * wide + x;
      const from = y * width + x;
      const valid = y < height && x < width && !cells[from];
      if (valid) missing[to] = 0;
      for (let channel = 0; channel < channels; channel++) {
        values[to * channels + channel] = valid ? original[from * channels + channel] : next();
      }
    }
  }
  return write(raster, values, missing, wide, high);
}

/**
 * Compare labels with those of a larger canvas.
 *
 * @param {Uint8Array} first H × W
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} second
 * @param {number} wide its width
 * @returns {{valid: number, changed: number, beyond: number}} numbers of valid pixels of the first,
 *   of labels that differ on its area, and of labels beyond it
 */
export function compareLabels(first, width, height, second, wide) {
  let [valid, changed, beyond] = [0, 0, 0];
  for (let at = 0; at < second.length; at++) {
    const x = at % wide;
    const y = (at - x) / wide;
    if (x < width && y < height) {
      const label = first[y * width + x];
      if (label !== 255) valid++;
      if (label !== second[at]) changed++;
    } else if (second[at] !== 255) {
      beyond++;
    }
  }
  return { valid, changed, beyond };
}

/**
 * Count the labels in which two answers to one image differ.
 *
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 * @param {Uint8Array} classes of the first answer, by those of the second
 * @returns {{both: number, changed: number}} pixels with a label in both, and with different ones
 */
export function countDifferences(first, second, classes) {
  let [both, changed] = [0, 0];
  for (let at = 0; at < first.length; at++) {
    if (first[at] === 255 || second[at] === 255) continue;
    both++;
    if (first[at] !== classes[second[at]]) changed++;
  }
  return { both, changed };
}

/** @param {Raster} raster */
function pick({ width, height, channels, step, values }) {
  if (step === channels) return values;
  const picked = new (/** @type {any} */ (values.constructor))(width * height * channels);
  for (let at = 0; at < width * height; at++) {
    for (let channel = 0; channel < channels; channel++) {
      picked[at * channels + channel] = values[at * step + channel];
    }
  }
  return picked;
}

/** @param {import("./npy.js").Numbers} values array whose range the noise fills */
function makeNoise(values) {
  let state = crypto.getRandomValues(new Uint32Array(1))[0] || 1;
  const floating = values instanceof Float32Array || values instanceof Float64Array;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return floating ? state / 1000 : state;
  };
}

/**
 * @param {Raster} raster
 * @param {any} values
 * @param {Uint8Array} cells
 * @param {number} width
 * @param {number} height
 */
async function write({ picture, channels, kind }, values, cells, width, height) {
  const image = picture
    ? await writeRgbPng(values, width, height)
    : writeNpy({ kind, shape: [height, width, channels], values });
  return { image, mask: await writeMaskPng(cells, width, height) };
}
