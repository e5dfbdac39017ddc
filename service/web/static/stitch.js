/** Segmentation of an image window by window, and the labels of the whole put together. */

import { request } from "./api.js";
import { background } from "./background.js";
import { count } from "./dom.js";
import { readNpy } from "./npy.js";
import { Pace } from "./pace.js";
import { cutValid, hasValid, paste } from "./patches.js";
import { persist } from "./retry.js";
import { MISSING } from "./summary.js";

/** Windows that are sent at the same time: one computes while others travel. */
const AT_ONCE = 3;
const OVERLOADED = 429;

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
  const pace = new Pace(full.reduce((sum, window) => sum + countPixels(window), 0));
  let done = 0;
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
      pace.done += countPixels(window);
      onProgress(++done, full.length, pace.leftMs);
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
  const files = await background.cutWindow(source, input, cutValid(cells, width, input), unit);
  signal.throwIfAborted();
  const ask = () => request({ ...question, ...files, imageName: "window.npy", stretch: "" },
    "application/x-npy", { signal });
  const { content, find } = await persist(ask, { signal, onWait }).catch((error) => {
    if (error.name !== "AbortError") error.message = describeFailure(input, error.message);
    throw error;
  });
  const array = readNpy(await content.arrayBuffer());
  if (array?.kind !== "|u1" || array.shape[0] !== input.height || array.shape[1] !== input.width) {
    throw new Error("The labels of a window must be bytes of its size, " +
      `${input.height}×${input.width}; they are ${array?.kind} of ${array?.shape.join("×")}.`);
  }
  return { part: /** @type {Uint8Array} */ (array.values), warning: readWarning(find) };
}

/** @param {import("./windows.js").Window} window @returns {number} pixels that are sent of it */
function countPixels({ input }) {
  return input.width * input.height;
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
