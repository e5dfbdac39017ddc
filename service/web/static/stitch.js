/** Segmentation of an image window by window, and labels or planes of the whole put together. */

import { request } from "./api.js";
import { background } from "./background.js";
import { count } from "./dom.js";
import { readNpy } from "./npy.js";
import { Pace } from "./pace.js";
import { cutValid, hasValid, paste } from "./patches.js";
import { PLANES } from "./planes.js";
import { persist } from "./retry.js";
import { MISSING } from "./summary.js";

/** Windows that are sent at the same time: one computes while others travel. */
const AT_ONCE = 3;
const OVERLOADED = 429;
const MOST_PLANE_BYTES = 2 ** 30;

/**
 * @typedef {object} Job
 * @property {import("./windows.js").Window[]} windows
 * @property {number} source number of the picture in the worker
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} cells H × W, 0 = valid
 * @property {number} unit factor from the picture's values to those that are sent
 * @property {{model: string, version: string, nodata: string, also?: string}} question
 *
 * @typedef {object} Whole
 * @property {Uint8Array} labels H × W, 255 = missing
 * @property {Float64Array} counts pixels of each label
 * @property {number} sent windows that were sent; the others are empty
 * @property {string[]} warnings of the server, one for each window that has one
 *
 * @typedef {object} Events
 * @property {AbortSignal} signal
 * @property {import("./watch.js").OnWindows} onWindows
 * @property {(ms: number, error: import("./api.js").Problem) => void} onWait a window waits before
 *   it is sent again
 */

/**
 * @param {Job} job
 * @param {Events} events
 * @returns {Promise<Whole>}
 */
export async function segmentInWindows(job, events) {
  const { width, height } = job;
  const labels = new Uint8Array(width * height).fill(MISSING);
  const counts = new Float64Array(256);
  counts[MISSING] = width * height;
  const { sent, warnings } = await askForAll(job, "application/x-npy", events,
    async (window, content) =>
      paste(labels, width, window, await readLabels(window, content), counts));
  return { labels, counts, sent, warnings };
}

/**
 * @param {Job} job
 * @param {number} classes of the model
 * @param {Events} events
 * @returns {Promise<import("./planes.js").Planes>}
 * @throws {Error} if they would take too much memory
 */
export async function computePlanes({ question, ...job }, classes, events) {
  const { width, height } = job;
  const bytes = width * height * (classes + 2);
  if (bytes > MOST_PLANE_BYTES) {
    throw new Error(`Layers take a byte for each pixel and class, at most ${count(MOST_PLANE_BYTES)} ` +
      `bytes in all; those of this image would take ${count(bytes)}. Open a part of it.`);
  }
  const make = () => new Uint8Array(width * height);
  const planes = { confidence: make(), support: make(), classes: Array.from({ length: classes }, make) };
  await askForAll({ ...job, question: { ...question, also: PLANES } }, "application/zip", events,
    async (window, content) => {
      const part = await background.readPlanes(content);
      const wholes = listPlanes(planes);
      for (const [at, plane] of listPlanes(part).entries()) paste(wholes[at], width, window, plane);
    });
  return planes;
}

/** @param {import("./planes.js").Planes} planes */
function listPlanes({ confidence, support, classes }) {
  return [confidence, support, ...classes];
}

/**
 * Request all windows that are not empty, or none: the first that fails ends the others.
 *
 * @param {Job} job
 * @param {string} accept media type of the answers
 * @param {Events} events
 * @param {(window: import("./windows.js").Window, content: Blob) => Promise<void>} use
 * @returns {Promise<Pick<Whole, "sent" | "warnings">>}
 */
async function askForAll(job, accept, { signal, onWindows, onWait }, use) {
  const { width, cells } = job;
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
      const { content, warning } = await askFor(window, job, accept, {
        signal: ending,
        onWait: (ms, error) => {
          tooMany ||= error.status === OVERLOADED;
          onWait(ms, error);
        },
      });
      if (warning) warnings.push(warning);
      await use(window, content);
      ending.throwIfAborted();
      pace.done += countPixels(window);
      onWindows(++done, full.length, pace.leftMs);
      if (tooMany && active > 1) {
        active--; // fewer at the same time from now on
        return;
      }
    }
  };
  onWindows(0, full.length, NaN);
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } catch (error) {
    failed.abort();
    throw error;
  }
  return { sent: full.length, warnings };
}

/**
 * @param {import("./windows.js").Window} window
 * @param {Job} job
 * @param {string} accept
 * @param {Pick<Events, "signal" | "onWait">} events
 */
async function askFor({ input }, { source, width, cells, unit, question }, accept,
  { signal, onWait }) {
  const files = await background.cutWindow(source, input, cutValid(cells, width, input), unit);
  signal.throwIfAborted();
  const ask = () => request({ ...question, ...files, imageName: "window.npy", stretch: "" }, accept,
    { signal });
  const { content, find } = await persist(ask, { signal, onWait }).catch((error) => {
    if (error.name !== "AbortError") error.message = describeFailure(input, error.message);
    throw error;
  });
  return { content, warning: readWarning(find) };
}

/** @param {import("./windows.js").Window} window @param {Blob} content NPY */
async function readLabels({ input }, content) {
  const array = readNpy(await content.arrayBuffer());
  if (array?.kind !== "|u1" || array.shape[0] !== input.height || array.shape[1] !== input.width) {
    throw new Error("The labels of a window must be bytes of its size, " +
      `${input.height}×${input.width}; they are ${array?.kind} of ${array?.shape.join("×")}.`);
  }
  return /** @type {Uint8Array} */ (array.values);
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
