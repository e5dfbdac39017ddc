/** The size of a TIFF, which browsers do not show; it is sent as it is all the same. */

const WIDTH = 256;
const HEIGHT = 257;

/**
 * @param {Uint8Array} bytes
 * @returns {boolean} whether they begin as a TIFF does
 */
export function isTiff(bytes) {
  const mark = String.fromCharCode(...bytes.slice(0, 4));
  return mark === "II*\0" || mark === "MM\0*";
}

/**
 * @param {ArrayBuffer} buffer the whole file
 * @returns {{width: number, height: number}}
 */
export function readTiffSize(buffer) {
  const view = new DataView(buffer);
  const little = view.getUint8(0) === 0x49;
  const start = view.getUint32(4, little);
  const size = { width: 0, height: 0 };
  const entries = view.getUint16(start, little);
  for (let entry = 0; entry < entries; entry++) {
    const at = start + 2 + entry * 12;
    const tag = view.getUint16(at, little);
    const short = view.getUint16(at + 2, little) === 3;
    const value = short ? view.getUint16(at + 8, little) : view.getUint32(at + 8, little);
    if (tag === WIDTH) size.width = value;
    if (tag === HEIGHT) size.height = value;
  }
  if (!size.width || !size.height) throw new Error("The TIFF does not tell its size.");
  return size;
}
