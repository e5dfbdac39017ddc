/** Requests that are sent again when the server refuses them for the moment. */

import { Problem } from "./api.js";

/** Overloaded, restarting, or not reachable. Segmenting an image twice changes nothing. */
const PASSING = [0, 429, 502, 503];
/** Time from the first try in which another one begins; a server restarts in about a minute. */
const PATIENCE_MS = 120_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;
/** Random addition to the server's time, so that windows do not come back together. */
const SPREAD = 0.1;

/**
 * @template Value
 * @param {() => Promise<Value>} attempt
 * @param {{signal: AbortSignal, onWait: (ms: number, error: Problem) => void}} options
 * @returns {Promise<Value>}
 */
export async function persist(attempt, { signal, onWait }) {
  const began = performance.now();
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const wait = chooseWait(error, tries, performance.now() - began, Math.random());
      if (wait === null) throw error;
      onWait(wait, error);
      await pause(wait, signal);
    }
  }
}

/**
 * @param {Error} error of the last try
 * @param {number} tries so far
 * @param {number} elapsed milliseconds since the first one began
 * @param {number} chance from 0 to 1
 * @returns {number|null} milliseconds before the next try; null to stop trying
 */
export function chooseWait(error, tries, elapsed, chance) {
  if (!(error instanceof Problem) || !PASSING.includes(error.status)) return null;
  const wait = error.retryAfterS
    ? error.retryAfterS * 1000 * (1 + SPREAD * chance)
    : Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS) * (1 + chance) / 2;
  return elapsed + wait <= PATIENCE_MS ? wait : null;
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
