/**
 * Plan of the windows of an image that is larger than the server takes. It only decides.
 *
 * A model's label of a pixel depends on the valid pixels within its receptive radius, and on the
 * pixel's place on a grid of the total stride. So a window that begins on this grid, and goes a
 * halo beyond the pixels that are kept of it, gives the labels of the whole image exactly.
 *
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {{input: Box, output: Box}} Window what is sent, and the part of its labels that is kept
 * @typedef {{image_pixels: number, body_bytes?: number}} Limits as the server tells them
 *
 * @typedef {object} Shape
 * @property {number} width
 * @property {number} height
 * @property {number} channels
 * @property {number} sampleBytes of a value of one channel, as it is sent in a window
 */

/**
 * Side of the largest window. Larger ones would save little on halos, but a few of them are more
 * than a slow server lets one client wait for.
 */
const LARGEST_SIDE = 1536;
/** What is in a form besides the files. */
const FORM_BYTES = 8192;
/** Channels that an image of the maximum number of pixels may have; more, and it must be smaller. */
const FULL_CHANNELS = 4;

/**
 * @param {Shape & {blob: Blob}} picture
 * @param {Limits|undefined} limits undefined if they are not known
 * @returns {boolean} true if the server would refuse the picture because of its size
 */
export function isTooLarge({ width, height, channels, blob }, limits) {
  if (!limits) return false;
  const { image_pixels: most, body_bytes: bytes = Infinity } = limits;
  return countPixels({ width, height, channels }) > most ||
    countBytes({ width, height, blob }) > bytes;
}

/**
 * @param {{width: number, height: number, channels: number}} shape
 * @returns {number} pixels as the server counts them: of many channels, each counts as more than one
 */
export function countPixels({ width, height, channels }) {
  return width * height * Math.max(1, channels / FULL_CHANNELS);
}

/** @param {{width: number, height: number, blob: Blob}} picture @returns {number} bytes to send */
export function countBytes({ width, height, blob }) {
  // The mask is sent as a picture of one bit a pixel.
  return Math.ceil(blob.size + width * height / 8 + FORM_BYTES);
}

/**
 * @param {Shape} shape
 * @param {import("./api.js").Model} model
 * @returns {Window[]} disjoint outputs that cover the image, row by row; none if the limits are too
 *   small for any window, or the model's labels would depend on how the image is cut
 */
export function planWindows(shape, { contract, total_stride: stride, receptive_radius: radius, limits }) {
  if (!contract?.padding_invariant || !stride || radius === undefined || !limits) return [];
  const halo = Math.ceil(radius / stride) * stride;
  const side = Math.floor(Math.sqrt(findMostPixels(shape, limits)) / stride) * stride;
  const columns = cut(shape.width, side, stride, halo);
  return cut(shape.height, side, stride, halo).flatMap((row) => columns.map((column) => ({
    input: { x: column.from, y: row.from,
      width: column.to - column.from, height: row.to - row.from },
    output: { x: column.keepFrom, y: row.keepFrom,
      width: column.keepTo - column.keepFrom, height: row.keepTo - row.keepFrom },
  })));
}

/** @param {Shape} shape @param {Limits} limits */
function findMostPixels({ channels, sampleBytes }, { image_pixels: most, body_bytes: bytes = Infinity }) {
  const maskBytes = 1;
  return Math.max(0, Math.min(LARGEST_SIDE ** 2, most, FULL_CHANNELS * most / channels,
    (bytes - FORM_BYTES) / (channels * sampleBytes + maskBytes)));
}

/**
 * Cut a length into parts of nearly the same size.
 *
 * @param {number} length
 * @param {number} side most that a window may have, halos included; a multiple of the stride
 * @param {number} stride
 * @param {number} halo
 */
function cut(length, side, stride, halo) {
  const room = length <= side ? length : side - 2 * halo;
  if (room < Math.min(stride, length)) return [];
  const count = Math.ceil(length / room);
  const step = Math.ceil(length / count / stride) * stride;
  return Array.from({ length: Math.ceil(length / step) }, (_, at) => {
    const [keepFrom, keepTo] = [at * step, Math.min(length, (at + 1) * step)];
    return { keepFrom, keepTo, from: Math.max(0, keepFrom - halo), to: Math.min(length, keepTo + halo) };
  });
}
