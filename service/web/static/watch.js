/** Requests whose progress is requested from the server while it computes. */

import { getProgress } from "./api.js";
import { Pace } from "./pace.js";
import { pause } from "./retry.js";

const PERIOD_MS = 500;
const ID_BYTES = 16;

/** @typedef {(done: number, total: number, leftMs: number) => void} OnWindows */

/**
 * Send a request for a segmentation, and tell how many of its windows are computed.
 *
 * @template Value
 * @param {(options: import("./api.js").Options) => Promise<Value>} ask sends it, with these options
 * @param {{signal: AbortSignal, onProgress?: (stage: string, part: number) => void,
 *   onWindows: OnWindows}} events
 */
export async function askWatched(ask, { signal, onProgress = () => {}, onWindows }) {
  const id = makeId();
  const answered = new AbortController();
  try {
    return await ask({ signal, id, onProgress: (stage, part) => {
      if (stage === "wait") watch(id, onWindows, answered.signal);
      else if (stage === "receive") answered.abort();
      onProgress(stage, part);
    } });
  } finally {
    answered.abort();
  }
}

/**
 * Tell the progress of a request until its answer comes. If the server does not know it, as behind
 * a balancer that asks another server, nothing is told.
 *
 * @param {string} id
 * @param {OnWindows} onWindows
 * @param {AbortSignal} signal
 */
async function watch(id, onWindows, signal) {
  /** @type {Pace|null} */
  let pace = null;
  try {
    for (;;) {
      await pause(PERIOD_MS, signal);
      const { windows: { done, total }, ended } = await getProgress(id, signal);
      if (ended || signal.aborted) return;
      // Not planned yet, or not worth telling, or nothing new: the pace is known when a window ends.
      if (total < 2 || done === pace?.done) continue;
      pace ??= new Pace(total, done);
      pace.done = done;
      onWindows(done, total, pace.leftMs);
    }
  } catch {
    // What is told without it stays.
  }
}

/** Random, and in hex: `crypto.randomUUID` is missing where the page came without TLS. */
function makeId() {
  return [...crypto.getRandomValues(new Uint8Array(ID_BYTES))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
