/**
 * Reading and writing of NumPy's NPY files.
 *
 * @typedef {Uint8Array|Int8Array|Uint16Array|Int16Array|Uint32Array|Int32Array
 *   |Float32Array|Float64Array} Numbers
 * @typedef {{kind: string, shape: number[], values: Numbers}} NpyArray kind is NumPy's, as "<f4"
 */

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** @type {Record<string, any>} */
const KINDS = {
  "|b1": Uint8Array, "|u1": Uint8Array, "|i1": Int8Array,
  "<u2": Uint16Array, "<i2": Int16Array, "<u4": Uint32Array, "<i4": Int32Array,
  "<f4": Float32Array, "<f8": Float64Array,
};

/**
 * @param {Uint8Array} bytes
 * @returns {boolean} whether they begin as an NPY file does
 */
export function isNpy(bytes) {
  return MAGIC.every((byte, at) => bytes[at] === byte);
}

/**
 * Read an NPY file, row-major and little-endian, of a kind that JavaScript has.
 *
 * @param {ArrayBuffer} buffer
 * @returns {NpyArray|null} null for all others
 */
export function readNpy(buffer) {
  const view = new DataView(buffer);
  const long = view.getUint8(6) > 1;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(buffer, start, length));
  const kind = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? "";
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const sides = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  const Kind = KINDS[kind];
  if (!Kind || order !== "False" || sides === undefined) return null;
  const shape = sides.split(",").map((side) => side.trim()).filter(Boolean).map(Number);
  const count = shape.reduce((product, side) => product * side, 1);
  const [first, bytes] = [start + length, count * Kind.BYTES_PER_ELEMENT];
  if (buffer.byteLength < first + bytes) throw new Error("The NPY file is truncated.");
  // A view where the data are aligned, as NumPy writes them: images are large.
  const values = first % Kind.BYTES_PER_ELEMENT
    ? new Kind(buffer.slice(first, first + bytes)) : new Kind(buffer, first, count);
  return { kind, shape, values };
}

/**
 * @param {NpyArray} array
 * @returns {Blob}
 */
export function writeNpy({ kind, shape, values }) {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${sides}), }`;
  // The header ends with a line feed, and the data begins at a multiple of 64.
  const padded = text.padEnd(Math.ceil((10 + text.length + 1) / 64) * 64 - 11) + "\n";
  const head = new Uint8Array(10);
  head.set(MAGIC);
  head[6] = 1;
  new DataView(head.buffer).setUint16(8, padded.length, true);
  return new Blob([head, padded, /** @type {any} */ (values)], { type: "application/x-npy" });
}
