/** Segmentation of the picture: request, progress, cancelling and errors. */

import { Problem, nameFile, segment } from "./api.js";
import { background } from "./background.js";
import { find, bringIntoSight, toSentence } from "./dom.js";
import { planLarge } from "./large.js";
import { Progress } from "./progress.js";
import { persist } from "./retry.js";
import { readNumber } from "./session.js";
import { segmentInWindows } from "./stitch.js";
import { summarize } from "./summary.js";
import { askWatched } from "./watch.js";

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
    /** True while a run waits for edits: it will take what they lead to. */
    this.isSettling = false;
    find("run").addEventListener("click", () => this.run());
    find("cancel").addEventListener("click", () => this.controller?.abort());
    session.addEventListener("opening", () => {
      if (session.opening) this.#abandon(); // the worker will have other pixels
    });
    session.addEventListener("picture", () => {
      this.#abandon();
      this.#showState();
      // What was pressed to open it may be hidden by now, and the next step is here.
      if (isOfIntake(document.activeElement)) find("run").focus({ preventScroll: true });
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
    if (!session.picture || this.controller) return;
    const controller = this.controller = new AbortController();
    const progress = new Progress();
    this.showError(null);
    this.#showState();
    try {
      progress.show("prepare", 0);
      if (!await this.#settle()) return; // without that mask, the answer would be another
      const large = await planLarge(session, this.chooser);
      controller.signal.throwIfAborted();
      const { changes } = session;
      await session.setAnswer(large
        ? await this.#askInWindows(large, controller.signal, progress)
        : await this.#askAtOnce(controller.signal, progress));
      if (session.changes !== changes) session.noteStale();
      await session.redrawStretched(); // the mask may have changed since it was drawn
    } catch (error) {
      if (error.name !== "AbortError") this.showError(nameFile(error, session.picture.name));
    } finally {
      progress.end();
      this.controller = null;
      this.#showState();
    }
  }

  /** Wait for the edits that have begun. @returns {Promise<boolean>} false if one failed */
  async #settle() {
    this.isSettling = true;
    try {
      return await this.session.settle();
    } finally {
      this.isSettling = false;
    }
  }

  /** End a run whose picture is replaced. */
  #abandon() {
    if (!this.isSettling) this.controller?.abort();
  }

  /**
   * @param {AbortSignal} signal
   * @param {Progress} progress
   * @returns {Promise<import("./session.js").Answer>}
   */
  async #askAtOnce(signal, progress) {
    const question = await this.makeQuestion();
    signal.throwIfAborted();
    const ask = () => askWatched((options) => segment(question, options), {
      signal,
      onProgress: (stage, part) => progress.show(stage, part),
      onWindows: (done, total, leftMs) => progress.showComputed(done, total, leftMs),
    });
    const { content, timings, tookMs } = await persist(ask,
      { signal, onWait: (ms, error) => progress.showWait(ms, error) });
    progress.show("read", 0);
    const { labels, summary } = await background.readAnswer(content);
    signal.throwIfAborted();
    const { size } = summary;
    const { height, width } = this.session.picture ?? size;
    if (size.height !== height || size.width !== width) {
      throw new Error("Server and browser must agree on the size of the image; the server " +
        `read ${size.height}×${size.width}, the browser ${height}×${width}.`);
    }
    return { content, labels, summary, timings, tookMs, question, windows: null };
  }

  /**
   * @param {NonNullable<Awaited<ReturnType<typeof planLarge>>>} plan
   * @param {AbortSignal} signal
   * @param {Progress} progress
   * @returns {Promise<import("./session.js").Answer>}
   */
  async #askInWindows({ model, windows, unit }, signal, progress) {
    const { picture, mask, nodata } = this.session;
    if (!picture || !mask) throw new Error("There is no image yet.");
    const { width, height, source } = picture;
    const { name, version } = model;
    const began = performance.now();
    const whole = await segmentInWindows({
      windows, width, height, source, unit,
      cells: mask.cells.slice(), // painting goes on meanwhile
      question: { model: name, version, nodata: scaleNodata(nodata, unit) },
    }, {
      signal,
      onWindows: (done, total, leftMs) => progress.showWindows(done, total, leftMs),
      onWait: (ms, error) => progress.showWait(ms, error),
    });
    signal.throwIfAborted();
    return {
      content: null, labels: whole.labels, summary: summarize(model, { width, height }, whole),
      timings: new Map(), tookMs: performance.now() - began, question: null,
      windows: { sent: whole.sent, planned: windows.length },
    };
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

/** @param {Element|null} element */
function isOfIntake(element) {
  return !element || element === document.body || element.matches(".sample, #image-file, #first-file");
}

/** @param {string} nodata as it was typed @param {number} unit factor of the values that are sent */
function scaleNodata(nodata, unit) {
  const number = readNumber(nodata);
  return unit === 1 || Number.isNaN(number) ? nodata : String(number * unit);
}

/** On a narrow screen the picture may be out of sight. */
function showPicture() {
  const stage = find("stage");
  const box = stage.getBoundingClientRect();
  if (box.bottom <= 120 || box.top >= innerHeight - 120) bringIntoSight(stage, "start");
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
