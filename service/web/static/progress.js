/** Progress of a run: the bar, and a sentence that screen readers are told. */

import { duration, find } from "./dom.js";

const STAGES = new Map([
  ["prepare", "Writing the mask"], ["send", "Sending"], ["wait", "Computing on the server"],
  ["receive", "Receiving"], ["read", "Reading the answer"],
]);

export class Progress {
  constructor() {
    this.began = performance.now();
    this.text = "";
    this.counts = true;
    find("progress").hidden = false;
    this.timer = setInterval(() => this.#tick(), 200);
  }

  /** @param {string} stage @param {number} part of 1; 0 if unknown */
  show(stage, part) {
    this.#set(STAGES.get(stage) ?? stage, part, true);
  }

  /** @param {number} done windows @param {number} total @param {number} leftMs NaN if unknown */
  showWindows(done, total, leftMs) {
    const left = Number.isFinite(leftMs) && done < total ? ` · ${describeLeft(leftMs)}` : "";
    this.#set(`${done} of ${total} windows${left}`, done / total, false);
  }

  /** @param {number} ms until a window is sent again */
  showWait(ms) {
    const [windows] = this.text.split(" · ");
    this.text = `${windows} · the server is busy, next try in ${Math.ceil(ms / 1000)} s`;
    this.#tick();
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

/** @param {number} ms */
function describeLeft(ms) {
  const seconds = ms / 1000;
  if (seconds >= 90) return `about ${Math.round(seconds / 60)} minutes left`;
  const step = seconds < 10 ? 1 : 5;
  return `about ${Math.max(1, Math.ceil(seconds / step) * step)} s left`;
}
