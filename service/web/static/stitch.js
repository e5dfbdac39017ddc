/** Segmentation of an image window by window, and the labels of the whole put together. */

import { request } from "./api.js";
import { background } from "./background.js";
import { count } from "./dom.js";
import { readNpy } from "./npy.js";
import { persist } from "./retry.js";

/** Windows that are sent at the same time: one computes while others travel. */
const AT_ONCE = 3;
const OVERLOADED = 429;
const MISSING = 255;

/**
 * @typedef {object} Job
 * @property {import("./windows.js").Window[]} windows
 * @property {number} source number of the picture in the worker
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} cells H × W, 0 = valid
 * @property {number} unit factor from the picture's values to those that are sent
 * @property {{model: string, version: string, nodata: string}} question
 *
 * @typedef {object} Whole
 * @property {Uint8Array} labels H × W, 255 = missing
 * @property {Float64Array} counts pixels of each label
 * @property {number} sent windows that were sent; the others are empty
 * @property {string[]} warnings of the server, one for each window that has one
 *
 * @typedef {object} Events
 * @property {AbortSignal} signal
 * @property {(done: number, total: number, leftMs: number) => void} onProgress
 * @property {(ms: number, error: import("./api.js").Problem) => void} onWait a window waits before
 *   it is sent again
 */

/**
 * @param {Job} job
 * @param {Events} events
 * @returns {Promise<Whole>} all windows or none: the first that fails ends the others
 */
export async function segmentInWindows(job, { signal, onProgress, onWait }) {
  const { width, height, cells } = job;
  const labels = new Uint8Array(width * height).fill(MISSING);
  const counts = new Float64Array(256);
  counts[MISSING] = width * height;
  const full = job.windows.filter(({ output }) => hasValid(cells, width, output));
  const pace = new Pace(full);
  const failed = new AbortController();
  const ending = AbortSignal.any([signal, failed.signal]);
  /** @type {string[]} */
  const warnings = [];
  const queue = full.values();
  let active = AT_ONCE;
  const work = async () => {
    for (const window of queue) {
      let tooMany = false;
      const { part, warning } = await askFor(window, job, {
        signal: ending,
        onWait: (ms, error) => {
          tooMany ||= error.status === OVERLOADED;
          onWait(ms, error);
        },
      });
      if (warning) warnings.push(warning);
      paste(labels, width, window, part, counts);
      onProgress(pace.add(window), full.length, pace.leftMs);
      if (tooMany && active > 1) {
        active--; // fewer at the same time from now on
        return;
      }
    }
  };
  onProgress(0, full.length, NaN);
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } catch (error) {
    failed.abort();
    throw error;
  }
  return { labels, counts, sent: full.length, warnings };
}

/**
 * @param {import("./windows.js").Window} window
 * @param {Job} job
 * @param {Pick<Events, "signal" | "onWait">} events
 */
async function askFor({ input }, { source, width, cells, unit, question }, { signal, onWait }) {
  const valid = new Uint8Array(input.width * input.height);
  eachRow(input, width, (from, to, at) => {
    for (let cell = from; cell < to; cell++) valid[at++] = cells[cell] ? 0 : 1;
  });
  const files = await background.cutWindow(source, input, valid, unit);
  signal.throwIfAborted();
  const ask = () => request({ ...question, ...files, imageName: "window.npy", stretch: "" },
    "application/x-npy", { signal });
  const { content, find } = await persist(ask, { signal, onWait }).catch((error) => {
    if (error.name !== "AbortError") error.message = describeFailure(input, error.message);
    throw error;
  });
  const array = readNpy(content);
  if (array?.kind !== "|u1" || array.shape[0] !== input.height || array.shape[1] !== input.width) {
    throw new Error("The labels of a window must be bytes of its size, " +
      `${input.height}×${input.width}; they are ${array?.kind} of ${array?.shape.join("×")}.`);
  }
  return { part: /** @type {Uint8Array} */ (array.values), warning: readWarning(find) };
}

/** @param {import("./windows.js").Box} box @param {string} reason */
function describeFailure({ x, y, width, height }, reason) {
  return `The window of columns ${count(x)} to ${count(x + width - 1)} and rows ${count(y)} to ` +
    `${count(y + height - 1)} has failed, so there is no result: ${reason}`;
}

/** @param {(header: string) => string|null} find @returns {string} empty if there is none */
function readWarning(find) {
  const [first] = JSON.parse(find("X-Lacuna-Warnings") ?? "[]");
  return first?.message ?? "";
}

/**
 * @param {Uint8Array} cells 0 = valid
 * @param {number} width
 * @param {import("./windows.js").Box} box
 */
function hasValid(cells, width, { x, y, width: wide, height: high }) {
  for (let row = y; row < y + high; row++) {
    if (cells.subarray(row * width + x, row * width + x + wide).includes(0)) return true;
  }
  return false;
}

/**
 * Copy what is kept of a window's labels into those of the whole, and count them.
 *
 * @param {Uint8Array} labels
 * @param {number} width
 * @param {import("./windows.js").Window} window
 * @param {Uint8Array} part of the window's input
 * @param {Float64Array} counts
 */
function paste(labels, width, { input, output }, part, counts) {
  const first = (output.y - input.y) * input.width + output.x - input.x;
  let row = 0;
  eachRow(output, width, (from, to) => {
    const begin = first + row++ * input.width;
    const kept = part.subarray(begin, begin + to - from);
    labels.set(kept, from);
    for (const label of kept) counts[label]++;
  });
  counts[MISSING] -= output.width * output.height;
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

/** How fast windows are done, and how long the others will take. */
class Pace {
  /** @param {import("./windows.js").Window[]} windows */
  constructor(windows) {
    this.began = performance.now();
    this.left = windows.reduce((sum, { input }) => sum + input.width * input.height, 0);
    this.pixels = 0;
    this.done = 0;
  }

  /** @param {import("./windows.js").Window} window that is done @returns {number} how many are */
  add({ input }) {
    this.pixels += input.width * input.height;
    this.left -= input.width * input.height;
    return ++this.done;
  }

  get leftMs() {
    return (performance.now() - this.began) * this.left / this.pixels;
  }
}
