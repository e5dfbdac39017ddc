/**
 * Worker for slow tasks: decoding, encoding and comparing. It keeps the pixels of the picture that
 * was opened last.
 */

import { cutWindow } from "./cut.js";
import { drawOverlay } from "./overlay.js";
import { writeNpy } from "./npy.js";
import { writeLabelsPng, writeMaskPng } from "./png.js";
import { compareLabels, countDifferences, disturb, plain } from "./disturb.js";
import { choosePart, cutCells, cutRaster } from "./part.js";
import { readPlanes } from "./planes.js";
import { draw, findMissing, openMask, openPicture } from "./raster.js";
import { encodeRuns, fillRuns } from "./rle.js";
import { writeZip } from "./zip.js";

const SMALL_SIDE = 1536;

/** @type {import("./raster.js").Raster|null} */
let raster = null;
let turn = 0;
/** Number of the picture whose pixels these are. */
let source = 0;

/** @type {Record<string, (...given: any[]) => any>} */
const TASKS = {
  /**
   * @param {Blob} blob
   * @param {boolean} exact true if the blob has the image's own values
   * @param {import("./range.js").Range|null} range range to draw them in
   */
  async openPicture(blob, exact, range) {
    const mine = ++turn;
    const opened = await openPicture(blob);
    if (!opened) return null;
    if (mine === turn) [raster, source] = [exact ? opened.raster : null, mine];
    const { channels, values, keepsValues } = opened.raster;
    return { ...await show(opened, exact ? range : null), hasNumbers: exact, source: mine,
      channels, sampleBytes: values.BYTES_PER_ELEMENT, keepsValues, isArray: !opened.raster.picture };
  },

  /**
   * @param {Blob} blob new preview of the open picture
   * @param {boolean} exact true if it has the image's own values, and they are to be kept
   * @param {import("./range.js").Range|null} range range to draw them in
   */
  async lookAgain(blob, exact, range) {
    const mine = turn;
    const opened = await openPicture(blob);
    if (opened && exact && mine === turn) raster = opened.raster;
    return opened && show(opened, exact ? range : null);
  },

  /** @param {import("./range.js").Range|null} range range to draw the open picture in */
  repaint: (range) => raster && show({ ...raster, raster, missing: null, canvas: null }, range),

  openMask,

  /** @param {number} value what missing pixels hold in all channels; may be NaN */
  findNodata(value) {
    return raster && findMissing(raster, (number) => Object.is(number, value) || number === value,
      "every");
  },

  /** @param {number} value */
  findBelow: (value) => raster && findMissing(raster, (number) => number < value, "every"),

  writeMaskPng,

  /**
   * @param {number} of number of the picture
   * @param {import("./windows.js").Box} box
   * @param {Uint8Array} valid
   * @param {number} unit
   */
  cutWindow(of, box, valid, unit) {
    return cutWindow(findRaster(of), box, valid, unit);
  },

  /** @param {Blob} file the JSON answer */
  async readAnswer(file) {
    const summary = JSON.parse(await file.text());
    const { width, height } = summary.size;
    const labels = new Uint8Array(width * height).fill(255);
    for (const entry of summary.classes) fillRuns(labels, entry.segmentation, entry.id);
    const counted = countLabels(labels);
    for (const entry of summary.classes) {
      if (counted[entry.id] !== entry.pixels) {
        throw new Error(`The answer must be consistent; ${entry.name} has ${entry.pixels} pixels ` +
          `by its count, and ${counted[entry.id]} by its area.`);
      }
    }
    return { labels, summary };
  },

  drawOverlay,

  writeZip,

  readPlanes,

  /** @param {Uint8Array} values @param {number} value @returns {Uint8Array} 1 where they equal it */
  mark: (values, value) => values.map((found) => Number(found === value)),

  /** @param {Uint8Array} values @param {number} bits @returns {Uint8Array} only these bits of them */
  keepBits: (values, bits) => values.map((found) => found & bits),

  writeLabelsPng,

  /** @param {any} summary of labels @param {Uint8Array} labels H × W */
  writeSummary(summary, labels) {
    const { size: { height, width }, classes: all } = summary;
    const runs = encodeRuns(labels, height, width, all.map((/** @type {any} */ { id }) => id));
    const classes = all.map((/** @type {any} */ entry, /** @type {number} */ at) =>
      ({ ...entry, segmentation: runs[at] }));
    return new Blob([JSON.stringify({ ...summary, classes })], { type: "application/json" });
  },

  /** @param {Uint8Array} values @param {number} width @param {number} height */
  writeLabelsNpy: (values, width, height) =>
    writeNpy({ kind: "|u1", shape: [height, width], values }),

  choosePart,

  /**
   * @param {number} of number of the picture
   * @param {Uint8Array} cells of the whole picture
   * @param {import("./windows.js").Box} part
   */
  makePlain(of, cells, part) {
    const { cut, mask } = takePart(of, cells, part);
    return plain(cut, mask);
  },

  /**
   * @param {number} of number of the picture
   * @param {Uint8Array} cells of the whole picture
   * @param {import("./windows.js").Box} part
   * @param {{right: number, bottom: number}} grown pixels that the canvas grows by
   */
  makeDisturbed(of, cells, part, { right, bottom }) {
    const { cut, mask } = takePart(of, cells, part);
    return disturb(cut, mask, right, bottom);
  },

  compareLabels,

  countDifferences,
};

/** @param {number} of number of a picture */
function findRaster(of) {
  if (!raster || of !== source) throw new Error("Another picture has been opened.");
  return raster;
}

/** @param {number} of @param {Uint8Array} cells @param {import("./windows.js").Box} part */
function takePart(of, cells, part) {
  const whole = findRaster(of);
  return { cut: cutRaster(whole, part), mask: cutCells(cells, whole.width, part) };
}

/**
 * @param {import("./raster.js").Opened} opened
 * @param {import("./range.js").Range|null} range
 */
async function show({ width, height, raster: opened, missing, canvas }, range) {
  const bitmap = draw(opened, range, canvas).transferToImageBitmap();
  const longest = Math.max(width, height);
  const small = longest > 2 * SMALL_SIDE
    ? await createImageBitmap(bitmap, {
      resizeWidth: Math.max(1, Math.round((width * SMALL_SIDE) / longest)),
      resizeHeight: Math.max(1, Math.round((height * SMALL_SIDE) / longest)),
      resizeQuality: "medium",
    })
    : null;
  return { width, height, missing, bitmap, small };
}

/** @param {Uint8Array} labels */
function countLabels(labels) {
  const counts = new Uint32Array(256);
  for (const label of labels) counts[label]++;
  return counts;
}

/**
 * @param {any} value
 * @returns {Transferable[]} objects that are transferred instead of copied
 */
function findTransferable(value) {
  /** @type {any[]} */
  if (value instanceof ImageBitmap) return [value];
  if (ArrayBuffer.isView(value)) return [/** @type {any} */ (value.buffer)];
  const isHolder = Array.isArray(value) || value?.constructor === Object;
  return isHolder ? Object.values(value).flatMap(findTransferable) : [];
}

self.addEventListener("message", async ({ data: { id, task, given } }) => {
  try {
    const value = await TASKS[task](...given);
    self.postMessage({ id, value }, { transfer: findTransferable(value) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
