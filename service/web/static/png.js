/**
 * Exact writing of PNG files. A canvas would apply premultiplied alpha and colour profiles.
 */

import { makeCrc } from "./crc.js";

const SIGNATURE = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);

/**
 * Write a mask as a picture of one bit a pixel, white where valid.
 *
 * @param {Uint8Array} cells H × W, 0 = valid
 * @param {number} width
 * @param {number} height
 * @param {number} bits of a cell that count
 * @returns {Promise<Blob>}
 */
export function writeMaskPng(cells, width, height, bits = 255) {
  const stride = 1 + Math.ceil(width / 8);
  const rows = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const row = y * stride + 1;
    for (let x = 0; x < width; x++) {
      if (!(cells[y * width + x] & bits)) rows[row + (x >> 3)] |= 128 >> (x & 7);
    }
  }
  return write(width, height, 1, 0, rows);
}

/**
 * Write colours.
 *
 * @param {Uint8Array|Uint8ClampedArray} rgb H × W × 3
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Blob>}
 */
export function writeRgbPng(rgb, width, height) {
  const bytes = width * 3;
  const rows = new Uint8Array((bytes + 1) * height);
  for (let y = 0; y < height; y++) {
    const from = y * bytes;
    const to = y * (bytes + 1) + 1;
    rows[to - 1] = 1; // each byte as the difference to that of the pixel on its left
    for (let x = 0; x < bytes; x++) rows[to + x] = rgb[from + x] - (x < 3 ? 0 : rgb[from + x - 3]);
  }
  return write(width, height, 8, 2, rows);
}

/**
 * Write labels with a palette; 255 is transparent.
 *
 * @param {Uint8Array} labels H × W
 * @param {number} width
 * @param {number} height
 * @param {number[][]} colors red, green and blue of the classes 0, 1, …
 * @returns {Promise<Blob>}
 */
export function writeLabelsPng(labels, width, height, colors) {
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) {
    rows.set(labels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  }
  const palette = new Uint8Array(768);
  colors.forEach((color, at) => palette.set(color, at * 3));
  const opacity = new Uint8Array(256).fill(255);
  opacity[255] = 0;
  return write(width, height, 8, 3, rows, [chunk("PLTE", palette), chunk("tRNS", opacity)]);
}

/**
 * @param {number} width
 * @param {number} height
 * @param {number} depth bits a sample
 * @param {number} colorType as PNG numbers them
 * @param {Uint8Array<ArrayBuffer>} rows each after a byte that names its filter
 * @param {Uint8Array<ArrayBuffer>[]} chunks between header and data
 */
async function write(width, height, depth, colorType, rows, chunks = []) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = depth;
  header[9] = colorType;
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(packed).arrayBuffer());
  return new Blob(
    [SIGNATURE, chunk("IHDR", header), ...chunks, chunk("IDAT", data), chunk("IEND")],
    { type: "image/png" },
  );
}

/**
 * @param {string} name
 * @param {Uint8Array} data
 */
function chunk(name, data = new Uint8Array()) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  view.setUint32(bytes.length - 4, makeCrc(bytes.subarray(4, -4)));
  return bytes;
}
