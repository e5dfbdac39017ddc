/** Windows of the open picture, as files to send. Runs in the worker. */

import { writeNpy } from "./npy.js";

/**
 * @param {import("./raster.js").Raster} raster
 * @param {import("./windows.js").Box} box
 * @param {Uint8Array} valid of the box, 1 = valid
 * @param {number} unit factor of the values; other than 1 for bytes that become 16 bits
 * @returns {{image: Blob, mask: Blob}}
 */
export function cutWindow(raster, { x, y, width, height }, valid, unit) {
  const { channels, step, kind, values: all } = raster;
  const Kind = /** @type {any} */ (unit === 1 ? all.constructor : Uint16Array);
  const values = new Kind(width * height * channels);
  let to = 0;
  for (let row = y; row < y + height; row++) {
    let from = (row * raster.width + x) * step;
    for (let column = 0; column < width; column++, from += step) {
      for (let channel = 0; channel < channels; channel++) values[to++] = all[from + channel] * unit;
    }
  }
  return {
    image: writeNpy({ kind: unit === 1 ? kind : "<u2", shape: [height, width, channels], values }),
    mask: writeNpy({ kind: "|u1", shape: [height, width], values: valid }),
  };
}
