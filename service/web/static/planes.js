/**
 * Planes of an answer as bytes, to be drawn and told under the pointer. Runs in the worker.
 *
 * A byte is 0 where a pixel is missing, and otherwise 1 + 254 times the value: a layer of a large
 * picture takes a quarter of the memory of floating point.
 *
 * @typedef {{confidence: Uint8Array, support: Uint8Array, classes: Uint8Array[]}} Planes classes
 *   are the probabilities of the first, second, … class
 */

import { readNpy } from "./npy.js";
import { MISSING } from "./summary.js";
import { readZip } from "./zip.js";

/** Planes that `readPlanes` reads, as the server names them. */
export const PLANES = "probabilities,support";
const STEPS = 254;

/** @param {number} byte of a pixel that is not missing @returns {number} from 0 to 1 */
export function readByte(byte) {
  return (byte - 1) / STEPS;
}

/**
 * @param {Blob} file NPZ with labels, probabilities and support
 * @returns {Promise<Planes>}
 */
export async function readPlanes(file) {
  const files = readZip(await file.arrayBuffer());
  const [labels, probabilities, support] = ["labels", "probabilities", "support"].map((name) => {
    const array = readNpy(files.get(`${name}.npy`) ?? new ArrayBuffer(0));
    if (!array) throw new Error(`The answer must hold ${name}; it does not.`);
    return array;
  });
  const count = probabilities.shape[2];
  const pick = (/** @type {import("./npy.js").Numbers} */ values, /** @type {number} */ first,
    /** @type {number} */ step) => toBytes(labels.values, values, first, step);
  const classes = Array.from({ length: count }, (_, id) => pick(probabilities.values, id, count));
  return { confidence: findLargest(classes), support: pick(support.values, 0, 1), classes };
}

/**
 * @param {import("./npy.js").Numbers} labels
 * @param {import("./npy.js").Numbers} values from 0 to 1
 * @param {number} first
 * @param {number} step from the value of one pixel to that of the next
 */
function toBytes(labels, values, first, step) {
  const bytes = new Uint8Array(labels.length);
  for (let at = 0; at < bytes.length; at++) {
    if (labels[at] !== MISSING) bytes[at] = 1.5 + STEPS * values[at * step + first];
  }
  return bytes;
}

/** @param {Uint8Array[]} planes */
function findLargest(planes) {
  const largest = planes[0].slice();
  for (const plane of planes.slice(1)) {
    for (let at = 0; at < largest.length; at++) if (plane[at] > largest[at]) largest[at] = plane[at];
  }
  return largest;
}
