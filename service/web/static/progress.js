/** Progress of a run: the bar, and a sentence that screen readers are told. */

import { isAway } from "./api.js";
import { duration, find, toSentence } from "./dom.js";

const STAGES = new Map([
  ["prepare", "Writing the mask"], ["send", "Sending"], ["wait", "Computing on the server"],
  ["receive", "Receiving"], ["read", "Reading the answer"],
]);

export class Progress {
  constructor() {
    this.began = performance.now();
    this.text = "";
    /** How many windows are done, in words, and as a part of 1. */
    this.windows = "";
    this.part = 0;
    this.counts = true;
    find("progress").hidden = false;
    this.timer = setInterval(() => this.#tick(), 200);
  }

  /** @param {string} stage @param {number} part of 1; 0 if unknown */
  show(stage, part) {
    this.#set(STAGES.get(stage) ?? stage, part, true);
  }

  /**
   * Show how many windows of a request are computed. All begin anew if it is sent again.
   *
   * @param {number} done windows @param {number} total @param {number} leftMs not finite if unknown
   */
  showComputed(done, total, leftMs) {
    this.#set(describeWindows(done, total, leftMs), done / total, false);
  }

  /**
   * Show how many windows are answered, each of them by a request of its own.
   *
   * @param {number} done windows @param {number} total @param {number} leftMs not finite if unknown
   */
  showWindows(done, total, leftMs) {
    this.windows = describeWindows(done, total);
    this.part = done / total;
    this.showComputed(done, total, leftMs);
  }

  /** @param {number} ms until a request is sent again @param {Error} error why it is */
  showWait(ms, error) {
    const wait = describeWait(ms, error);
    this.#set(this.windows ? `${this.windows} · ${wait}` : toSentence(wait), this.part, false);
  }

  end() {
    clearInterval(this.timer);
    find("progress").hidden = true;
  }

  /** @param {string} text @param {number} part of 1 @param {boolean} counts whether time is shown */
  #set(text, part, counts) {
    this.text = text;
    this.counts = counts;
    const bar = find("progress-bar");
    if (part > 0 && part < 1) bar.value = part;
    else bar.removeAttribute("value");
    this.#tick();
  }

  #tick() {
    const spent = performance.now() - this.began;
    const text = this.counts && spent >= 1000 ? `${this.text} · ${duration(spent)}` : this.text;
    // Only what is new, or screen readers would repeat it.
    if (find("progress-text").textContent !== text) find("progress-text").textContent = text;
  }
}

/** @param {number} done windows @param {number} total @param {number} [leftMs] */
export function describeWindows(done, total, leftMs = NaN) {
  const left = Number.isFinite(leftMs) && done < total ? ` · ${describeLeft(leftMs)}` : "";
  return `${done} of ${total} windows${left}`;
}

/** @param {number} ms until a request is sent again @param {Error} error why it is */
export function describeWait(ms, error) {
  const reason = isAway(error) ? "the server restarts or cannot be reached" : "the server is busy";
  return `${reason}, next try in ${Math.ceil(ms / 1000)} s`;
}

/** @param {number} ms @returns {string} */
export function describeLeft(ms) {
  const seconds = ms / 1000;
  if (seconds >= 90) return `about ${Math.round(seconds / 60)} minutes left`;
  const step = seconds < 10 ? 1 : 5;
  return `about ${Math.max(1, Math.ceil(seconds / step) * step)} s left`;
}
