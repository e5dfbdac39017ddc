/** Reading and writing of ZIP files whose entries are stored, not compressed. */

import { makeCrc } from "./crc.js";

const ENTRY = 0x04034b50;
const DIRECTORY = 0x02014b50;
const END = 0x06054b50;
const END_BYTES = 22;
const VERSION = 20;
/** Names are in UTF-8. */
const FLAGS = 0x0800;
/** The first day that a ZIP file can name, 1 January 1980: the same files give the same bytes. */
const DATE = 0x21;
const MOST = 0xffffffff;

/**
 * Read an archive that ends without a comment, such as NumPy's NPZ.
 *
 * @param {ArrayBuffer} buffer
 * @returns {Map<string, ArrayBuffer>} contents by name
 */
export function readZip(buffer) {
  const view = new DataView(buffer);
  const end = buffer.byteLength - END_BYTES;
  if (end < 0 || view.getUint32(end, true) !== END) throw new Error("The ZIP file is damaged.");
  /** @type {Map<string, ArrayBuffer>} */
  const files = new Map();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint16(at + 10, true) !== 0) throw new Error("The ZIP file must not be compressed.");
    const bytes = view.getUint32(at + 24, true);
    const [name, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    const entry = view.getUint32(at + 42, true);
    const first = entry + 30 + view.getUint16(entry + 26, true) + view.getUint16(entry + 28, true);
    files.set(new TextDecoder().decode(new Uint8Array(buffer, at + 46, name)),
      buffer.slice(first, first + bytes));
    at += 46 + name + extra + comment;
  }
  return files;
}

/**
 * Write an archive of at most 4 GiB.
 *
 * @param {{name: string, content: Uint8Array<ArrayBuffer>}[]} files
 * @returns {Blob}
 */
export function writeZip(files) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let place = 0;
  for (const { name, content } of files) {
    const encoded = new TextEncoder().encode(name);
    const facts = [VERSION, FLAGS, 0, 0, DATE];
    const sizes = [makeCrc(content), content.length, content.length];
    const entry = pack([[4, ENTRY], ...two(facts), ...four(sizes), ...two([encoded.length, 0])]);
    parts.push(entry, encoded, content);
    directory.push(pack([[4, DIRECTORY], ...two([VERSION, ...facts]), ...four(sizes),
      ...two([encoded.length, 0, 0, 0, 0]), ...four([0, place])]), encoded);
    place += entry.length + encoded.length + content.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  if (place + length > MOST) throw new Error("A ZIP file must have at most 4 GiB.");
  const end = pack([[4, END], ...two([0, 0, files.length, files.length]),
    ...four([length, place]), [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** @param {number[]} values @returns {[number, number][]} */
function two(values) {
  return values.map((value) => [2, value]);
}

/** @param {number[]} values @returns {[number, number][]} */
function four(values) {
  return values.map((value) => [4, value]);
}

/** @param {[number, number][]} fields numbers of bytes, and values */
function pack(fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}
