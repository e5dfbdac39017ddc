/** Segmentation of the picture: request, progress, cancelling and errors. */

import { Problem, segment } from "./api.js";
import { background } from "./background.js";
import { duration, find, bringIntoSight, toSentence } from "./dom.js";

const AGAIN = "Segment again";

export class Runner {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./chooser.js").Chooser} chooser
   * @param {(error: Error|null) => void} showError shows an error; null hides it
   */
  constructor(session, chooser, showError) {
    this.session = session;
    this.chooser = chooser;
    this.showError = showError;
    /** @type {AbortController|null} */
    this.controller = null;
    find("run").addEventListener("click", () => this.run());
    find("cancel").addEventListener("click", () => this.controller?.abort());
    session.addEventListener("picture", () => {
      this.controller?.abort();
      this.#showState();
    });
    session.addEventListener("stale", () => {
      if (!this.controller) find("run").textContent = AGAIN;
    });
    session.addEventListener("answer", showPicture);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.run();
    });
  }

  async run() {
    const { session } = this;
    const { picture, mask } = session;
    if (!picture || !mask || this.controller) return;
    const controller = this.controller = new AbortController();
    const progress = new Progress();
    this.showError(null);
    this.#showState();
    try {
      progress.show("prepare", 0);
      const question = await this.makeQuestion();
      controller.signal.throwIfAborted();
      const { content, timings, tookMs } = await segment(question,
        { signal: controller.signal, onProgress: (stage, part) => progress.show(stage, part) });
      progress.show("read", 0);
      const { labels, summary } = await background.readAnswer(content);
      controller.signal.throwIfAborted();
      const { height, width } = summary.size;
      if (height !== mask.height || width !== mask.width) {
        throw new Error("Server and browser must agree on the size of the image; the server " +
          `read ${height}×${width}, the browser ${mask.height}×${mask.width}.`);
      }
      session.setAnswer({ content, labels, summary, timings, tookMs });
      await session.redrawStretched(); // the mask may have changed since it was drawn
    } catch (error) {
      if (error.name !== "AbortError") this.showError(error);
    } finally {
      progress.end();
      this.controller = null;
      this.#showState();
    }
  }

  /** @returns {Promise<import("./api.js").Question>} */
  async makeQuestion() {
    const { picture, nodata, stretch } = this.session;
    if (!picture) throw new Error("There is no image yet.");
    return {
      image: picture.blob,
      imageName: picture.name,
      mask: await this.session.writeMask(),
      model: this.chooser.model,
      version: this.chooser.version,
      nodata,
      stretch: stretch ? "percentile" : "",
    };
  }

  #showState() {
    const running = this.controller !== null;
    const focused = [find("run"), find("cancel"), document.body].includes(document.activeElement);
    find("run").disabled = running || !this.session.picture;
    find("run").textContent = running ? "Segmenting…" : this.session.isStale ? AGAIN : "Segment";
    find("cancel").hidden = !running;
    // A hidden or disabled button loses the focus, so it moves to the other one.
    if (focused) find(running ? "cancel" : "run").focus({ preventScroll: true });
  }
}

/** On a narrow screen the picture may be out of sight. */
function showPicture() {
  const stage = find("stage");
  const box = stage.getBoundingClientRect();
  if (box.bottom <= 120 || box.top >= innerHeight - 120) bringIntoSight(stage, "start");
}

const STAGES = new Map([
  ["prepare", "Writing the mask"], ["send", "Sending"], ["wait", "Computing on the server"],
  ["receive", "Receiving"], ["read", "Reading the answer"],
]);

class Progress {
  constructor() {
    this.began = performance.now();
    this.text = "";
    find("progress").hidden = false;
    this.timer = setInterval(() => this.#tick(), 200);
  }

  /** @param {string} stage @param {number} part of 1; 0 if unknown */
  show(stage, part) {
    this.text = STAGES.get(stage) ?? stage;
    const bar = find("progress-bar");
    if (part > 0 && part < 1) bar.value = part;
    else bar.removeAttribute("value");
    this.#tick();
  }

  end() {
    clearInterval(this.timer);
    find("progress").hidden = true;
  }

  #tick() {
    const spent = performance.now() - this.began;
    const text = spent < 1000 ? this.text : `${this.text} · ${duration(spent)}`;
    find("progress-text").textContent = text;
  }
}

/** @param {Error} error @returns {string} for people */
export function describeError(error) {
  const text = error.message || "Something went wrong.";
  const sentence = toSentence(text);
  if (error instanceof Problem && error.retryAfterS) {
    return `${sentence} Try again in ${error.retryAfterS} s.`;
  }
  return sentence;
}
