/** Rows of windows, copied out of whole arrays and into them. */

import { MISSING } from "./summary.js";

/**
 * @param {Uint8Array} cells 0 = valid
 * @param {number} width
 * @param {import("./windows.js").Box} box
 * @returns {boolean} true if a pixel of the box is valid
 */
export function hasValid(cells, width, { x, y, width: wide, height: high }) {
  for (let row = y; row < y + high; row++) {
    if (cells.subarray(row * width + x, row * width + x + wide).includes(0)) return true;
  }
  return false;
}

/**
 * @param {Uint8Array} cells 0 = valid
 * @param {number} width
 * @param {import("./windows.js").Box} box
 * @returns {Uint8Array} 1 where the box is valid, else 0
 */
export function cutValid(cells, width, box) {
  const valid = new Uint8Array(box.width * box.height);
  eachRow(box, width, (from, to, at) => {
    for (let cell = from; cell < to; cell++) valid[at++] = cells[cell] ? 0 : 1;
  });
  return valid;
}

/**
 * Copy what is kept of a window's values into those of the whole.
 *
 * @param {Uint8Array} values labels, or the bytes of a plane
 * @param {number} width
 * @param {import("./windows.js").Window} window
 * @param {Uint8Array} part of the window's input
 * @param {Float64Array} [counts] pixels of each label, to which these are added
 */
export function paste(values, width, { input, output }, part, counts) {
  const first = (output.y - input.y) * input.width + output.x - input.x;
  let row = 0;
  eachRow(output, width, (from, to) => {
    const begin = first + row++ * input.width;
    const kept = part.subarray(begin, begin + to - from);
    values.set(kept, from);
    if (counts) for (const label of kept) counts[label]++;
  });
  if (counts) counts[MISSING] -= output.width * output.height;
}

/**
 * @param {import("./windows.js").Box} box
 * @param {number} width of the whole
 * @param {(from: number, to: number, at: number) => void} use is given the first place of a row in
 *   the whole, the one after its last, and the first in the box
 */
function eachRow({ x, y, width: wide, height: high }, width, use) {
  for (let row = 0; row < high; row++) {
    const from = (y + row) * width + x;
    use(from, from + wide, row * wide);
  }
}
