/**
 * Pixels of a picture as numbers, for work on the page without the server. Runs in the worker.
 *
 * @typedef {object} Raster
 * @property {number} width
 * @property {number} height
 * @property {number} channels that carry data, alpha not among them
 * @property {import("./npy.js").Numbers} values
 * @property {number} step numbers from one pixel to the next in values; 4 where alpha lies between
 * @property {string} kind NumPy's, "|u1" for pictures
 * @property {boolean} picture of intensities, from PNG, JPEG or WebP
 * @property {boolean} keepsValues true if these are the numbers that the server reads in the file:
 *   a canvas has 8 bits, and rounds colours that are partly transparent
 */

import { isNpy, readNpy } from "./npy.js";

/** Of classic TIFF and BigTIFF. */
const TIFF_MARKS = ["II*\0", "MM\0*", "II+\0", "MM\0+"];

/** @typedef {import("./range.js").Range} Range */

/**
 * @typedef {{width: number, height: number, raster: Raster, missing: Uint8Array|null,
 *   canvas: OffscreenCanvas|null}} Opened missing is not 0 where the file itself says so; canvas is
 *   the picture as the browser draws it, null if it cannot
 */

/**
 * @param {Blob} blob
 * @returns {Promise<Opened|null>} null for what only the server can read, if anybody
 */
export async function openPicture(blob) {
  const head = new Uint8Array(await blob.slice(0, 32).arrayBuffer());
  if (isNpy(head)) return openArray(await blob.arrayBuffer());
  // The one browser that shows TIFF takes bands and no-data values for what they are not.
  if (TIFF_MARKS.includes(String.fromCharCode(...head.slice(0, 4)))) return null;
  const bitmap = await decode(blob);
  if (!bitmap) return null;
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = getContext(canvas);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const values = context.getImageData(0, 0, width, height).data;
  const missing = new Uint8Array(width * height);
  let found = 0;
  let opaque = 0;
  for (let at = 0; at < missing.length; at++) {
    const alpha = values[at * 4 + 3];
    if (alpha === 255) opaque++;
    else if (alpha === 0) found += missing[at] = 1;
  }
  const raster = {
    width, height, channels: 3, step: 4, kind: "|u1", picture: true,
    values: new Uint8Array(values.buffer),
    keepsValues: opaque + found === missing.length && !isDeep(head),
  };
  return { width, height, raster, missing: found ? missing : null, canvas };
}

/** @param {Uint8Array} head @returns {boolean} true for a PNG of 16 bits */
function isDeep(head) {
  return String.fromCharCode(...head.slice(1, 4)) === "PNG" && head[24] === 16;
}

/** @param {Blob} blob */
async function decode(blob) {
  try {
    return await createImageBitmap(blob, {
      colorSpaceConversion: "none", premultiplyAlpha: "none",
    });
  } catch {
    return null;
  }
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {Opened|null} null for kinds of numbers that JavaScript has not
 */
function openArray(buffer) {
  const array = readNpy(buffer);
  if (!array) return null;
  const { kind, shape, values } = array;
  if (shape.length < 2 || shape.length > 3 || shape.includes(0)) {
    throw new Error(`An image must be H × W or H × W × C; this one is ${shape.join(" × ")}.`);
  }
  const [height, width, channels = 1] = shape;
  const raster = {
    width, height, channels, step: channels, kind, values, picture: false, keepsValues: true,
  };
  const missing = findMissing(raster, (value) => !Number.isFinite(value), "any");
  return { width, height, raster, missing, canvas: null };
}

/**
 * Find pixels by their values.
 *
 * @param {Raster} raster
 * @param {(value: number) => boolean} test
 * @param {"any"|"every"} which of a pixel's must pass
 * @returns {Uint8Array|null} 1 where found; null if nowhere
 */
export function findMissing({ width, height, channels, step, values }, test, which) {
  const found = new Uint8Array(width * height);
  let count = 0;
  for (let at = 0; at < found.length; at++) {
    let passed = 0;
    for (let channel = 0; channel < channels; channel++) {
      if (test(values[at * step + channel])) passed++;
    }
    if (which === "any" ? passed : passed === channels) count += found[at] = 1;
  }
  return count ? found : null;
}

/**
 * Draw an opened picture in the range of a model. If no range is known, pictures are drawn as they
 * are, and arrays are stretched from the smallest to the largest value.
 *
 * @param {Raster} raster
 * @param {Range|null} range
 * @param {OffscreenCanvas|null} drawn by the browser
 * @returns {OffscreenCanvas}
 */
export function draw(raster, range, drawn = null) {
  if (drawn && (!range || range.dtype === "uint8")) return drawn;
  const canvas = new OffscreenCanvas(raster.width, raster.height);
  getContext(canvas).putImageData(paint(raster, range), 0, 0);
  return canvas;
}

/** @param {Raster} raster @param {Range|null} range */
function paint(raster, range) {
  const { width, height, channels, step, values, picture } = raster;
  const { lows, highs } = chooseLimits(raster, range);
  // The server scales intensities to the model's depth.
  const unit = picture && range?.dtype === "uint16" ? 257 : 1;
  const image = new ImageData(width, height);
  for (let color = 0; color < 3; color++) {
    const channel = channels < 3 ? 0 : color;
    const low = lows[channel];
    const scale = 255 / (highs[channel] - low || 1);
    for (let at = 0; at < width * height; at++) {
      image.data[at * 4 + color] = (values[at * step + channel] * unit - low) * scale;
    }
  }
  for (let at = 0; at < width * height; at++) image.data[at * 4 + 3] = 255;
  return image;
}

/**
 * @param {Raster} raster
 * @param {Range|null} range
 * @returns {{lows: number[], highs: number[]}} of each channel
 */
function chooseLimits({ channels, values, kind, picture }, range) {
  if (range?.lows.length === channels) return range;
  let low = 0;
  let high = kind === "|b1" ? 1 : 255;
  if (range) {
    low = Math.min(...range.lows);
    high = Math.max(...range.highs);
  } else if (!picture && values.BYTES_PER_ELEMENT > 1) {
    low = Infinity;
    high = -Infinity;
    for (const value of values) {
      if (value < low && value !== -Infinity) low = value;
      if (value > high && value !== Infinity) high = value;
    }
  }
  return { lows: Array(channels).fill(low), highs: Array(channels).fill(high) };
}

/** @param {OffscreenCanvas} canvas */
function getContext(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("The browser has no memory for a picture of this size.");
  return context;
}

/**
 * Tell a JPEG, and a WebP compressed with loss, by their bytes, as the server does.
 *
 * @param {DataView} file
 */
function isLossy(file) {
  if (file.byteLength < 20) return false;
  if (file.getUint32(0) >>> 8 === 0xffd8ff) return true;
  if (spell(file, 0) !== "RIFF" || spell(file, 8) !== "WEBP") return false;
  for (let at = 12; at + 8 <= file.byteLength; ) {
    if (spell(file, at) === "VP8 ") return true;
    const size = file.getUint32(at + 4, true);
    at += 8 + size + (size % 2);
  }
  return false;
}

/** @param {DataView} file @param {number} at */
function spell(file, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((step) => file.getUint8(at + step)));
}

/**
 * Read a mask file like the server: non-zero = valid.
 *
 * @param {Blob} blob
 * @param {boolean} [seen] it is a preview from the server, of which only transparency counts
 * @returns {Promise<{width: number, height: number, missing: Uint8Array}|null>} null for what only
 *   the server can read, if anybody
 */
export async function openMask(blob, seen = false) {
  const opened = await openPicture(blob);
  if (!opened) return null;
  const { width, height, raster, missing } = opened;
  if (seen) return { width, height, missing: missing ?? new Uint8Array(width * height) };
  // Compression with loss turns a 0 beside an edge into 3 or 7.
  const least = isLossy(new DataView(await blob.arrayBuffer())) ? 128 : 0;
  const isZero = (/** @type {number} */ value) => (least ? value < least : value === 0);
  const zero = findMissing(raster, isZero, "every") ?? new Uint8Array(width * height);
  if (missing) for (let at = 0; at < zero.length; at++) zero[at] |= missing[at];
  return { width, height, missing: zero };
}
