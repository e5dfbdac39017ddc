/** A part of a large picture, for "Prove it". Runs in the worker. */

/** Rows and columns from one pixel that is looked at to the next. */
const STEP = 8;

/** @typedef {import("./windows.js").Box} Box */

/**
 * Choose the part in which most pixels are missing while as many are valid, or else the one with
 * the most valid pixels.
 *
 * @param {Uint8Array} cells H × W, 0 = valid
 * @param {{width: number, height: number}} size
 * @param {number} side of the part
 * @returns {Box}
 */
export function choosePart(cells, { width, height }, side) {
  const [wide, high] = [Math.min(side, width), Math.min(side, height)];
  let best = { x: 0, y: 0, width: wide, height: high };
  let highest = -1;
  for (const y of listPlaces(height, high)) {
    for (const x of listPlaces(width, wide)) {
      const box = { x, y, width: wide, height: high };
      const valid = findValid(cells, width, box);
      // Without any missing pixel, the part still shows what a larger canvas does.
      const score = valid && Math.min(valid, 1 - valid) + valid / 1000;
      if (score > highest) [best, highest] = [box, score];
    }
  }
  return best;
}

/** @param {number} length @param {number} side @returns {number[]} where parts begin */
function listPlaces(length, side) {
  const count = Math.ceil(length / side);
  return Array.from({ length: count }, (_, at) => Math.min(at * side, length - side));
}

/** @param {Uint8Array} cells @param {number} width @param {Box} box @returns {number} of 1 */
function findValid(cells, width, { x, y, width: wide, height: high }) {
  let [valid, all] = [0, 0];
  for (let row = y; row < y + high; row += STEP) {
    for (let at = row * width + x; at < row * width + x + wide; at += STEP) {
      all++;
      if (!cells[at]) valid++;
    }
  }
  return valid / all;
}

/**
 * @param {import("./raster.js").Raster} raster
 * @param {Box} box
 * @returns {import("./raster.js").Raster}
 */
export function cutRaster(raster, { x, y, width, height }) {
  const { step, values: all } = raster;
  const values = new (/** @type {any} */ (all.constructor))(width * height * step);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * raster.width + x) * step;
    values.set(all.subarray(from, from + width * step), row * width * step);
  }
  return { ...raster, width, height, values };
}

/** @param {Uint8Array} cells @param {number} width @param {Box} box @returns {Uint8Array} */
export function cutCells(cells, width, box) {
  const cut = new Uint8Array(box.width * box.height);
  for (let row = 0; row < box.height; row++) {
    const from = (box.y + row) * width + box.x;
    cut.set(cells.subarray(from, from + box.width), row * box.width);
  }
  return cut;
}
