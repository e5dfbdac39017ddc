/**
 * State of the page: a picture, its mask, and the answer. Changes are announced by the events
 * `opening`, `picture`, `drawing`, `drawn`, `values`, `mask`, `answer`, `layers` and `stale`.
 */

import { nameFile, preview } from "./api.js";
import { background } from "./background.js";
import { checkUpload, explainTooLarge } from "./large.js";
import { BY_FILE, MARKED, Mask, NODATA } from "./mask.js";
import { findRange } from "./range.js";

/**
 * @typedef {object} Picture
 * @property {Blob} blob file that is sent
 * @property {string} name
 * @property {number} width
 * @property {number} height
 * @property {ImageBitmap} bitmap
 * @property {ImageBitmap|null} small smaller copy of a large picture
 * @property {string} sampleOf model whose sample it is; empty if it is none
 * @property {boolean} hasNumbers true if the page knows the pixel values, not only a preview
 * @property {boolean} inRange true if it is drawn as the model is given it
 * @property {boolean} byServer true if the server made the picture, and knows what is missing in it
 * @property {number} source number of the picture in the worker
 * @property {number} channels that the page knows
 * @property {number} sampleBytes of a value of one of them
 * @property {boolean} isArray true for numbers, false for intensities
 * @property {boolean} keepsValues true if the page has the numbers that the server reads in the file
 *
 * @typedef {{bitmap: ImageBitmap, small: ImageBitmap|null, inRange: boolean}} Drawing
 *
 * @typedef {object} Answer
 * @property {Blob|null} content JSON of the answer; null if it came in windows
 * @property {any} summary
 * @property {Uint8Array} labels H × W, 255 = missing
 * @property {Map<string, number>} timings milliseconds by stage; empty if it came in windows
 * @property {number} tookMs
 * @property {import("./api.js").Question|null} question that was answered; null if it came in
 *   windows
 * @property {{sent: number, planned: number}|null} windows how many it was put together from; null
 *   for an answer to one request
 * @property {import("./planes.js").Planes} [planes] as soon as they were asked for
 */

/** Pixels of an answer that the mask is compared with in one go. */
const BAND_PIXELS = 1 << 21;

export class Session extends EventTarget {
  /** @type {Picture|null} */
  picture = null;
  /** @type {Mask|null} */
  mask = null;
  /** @type {Answer|null} */
  answer = null;
  /** As it was typed. */
  nodata = "";
  /** Model that the picture is drawn for. */
  target = { model: "", version: "" };
  /** What the server takes for it; undefined if that is not known.
   * @type {import("./windows.js").Limits|undefined} */
  limits = undefined;
  /** @type {import("./range.js").Range|null} */
  range = null;
  /** True if the server can stretch the values for the model. */
  canStretch = false;
  /** True if it shall. */
  stretch = false;
  /** True if picture or mask have changed since the answer. */
  isStale = false;
  /** Number of changes that make answers outdated. */
  changes = 0;
  /** Name of the picture that is being opened; empty if there is none. */
  opening = "";
  /** True while the picture is drawn anew. */
  isDrawing = false;
  /** Number of the last drawing; an earlier one is dropped. */
  #drawing = 0;
  /** Controller of the last opening; an earlier one is aborted. */
  #turn = new AbortController();
  /** Edits that have not ended. @type {Set<Promise<void>>} */
  #edits = new Set();

  /**
   * Do work that changes the picture or its mask. What is sent waits for its end.
   *
   * @param {() => Promise<void>} work
   */
  async edit(work) {
    const doing = work();
    this.#edits.add(doing);
    try {
      await doing;
    } finally {
      this.#edits.delete(doing);
    }
  }

  /**
   * Wait for the edits that have begun.
   *
   * @returns {Promise<boolean>} false if one of them failed, which who began it tells
   */
  async settle() {
    let isDone = true;
    while (this.#edits.size) {
      const ended = await Promise.allSettled(this.#edits);
      isDone &&= ended.every(({ status }) => status === "fulfilled");
    }
    return isDone;
  }

  /**
   * @param {Blob} blob
   * @param {string} name
   * @param {string} [sampleOf] model whose sample it is
   * @returns {Promise<boolean>} false if another one was opened meanwhile
   */
  async openPicture(blob, name, sampleOf = "") {
    this.#turn.abort();
    const { signal } = this.#turn = new AbortController();
    this.#setOpening(name);
    try {
      const { range, target } = this;
      const read = await background.openPicture(blob, true, range);
      if (!read) checkUpload(blob, name, this);
      const opened = read ?? await openUnreadable(blob, { ...target, signal }, range);
      signal.throwIfAborted();
      await this.#take({ blob, name, sampleOf, byServer: !read, inRange: range !== null, ...opened });
      if (this.range !== range) await this.#draw();
    } catch (error) {
      if (!signal.aborted) throw nameFile(explainTooLarge(error, name, this), name);
    } finally {
      if (!signal.aborted) this.#setOpening("");
    }
    return !signal.aborted;
  }

  /** @param {Picture & {missing: Uint8Array|null}} opened */
  async #take({ missing, ...picture }) {
    this.picture?.bitmap.close();
    this.picture?.small?.close();
    this.picture = picture;
    this.mask = new Mask(picture.width, picture.height);
    if (missing) this.mask.setReason(BY_FILE, missing);
    this.answer = null;
    this.isStale = false;
    this.#tell("picture");
    if (this.nodata) await this.setNodata(this.nodata);
    else await this.redrawStretched();
    this.#tell("mask");
  }

  /** @param {string} name */
  #setOpening(name) {
    this.opening = name;
    this.#tell("opening");
  }

  /**
   * @param {Blob} blob
   * @param {boolean} [isOwn] true if it came with the picture, so that it cannot be undone
   */
  async openMask(blob, isOwn = false) {
    const { picture, mask } = this;
    if (!picture || !mask) throw new Error("A mask needs an image; open the image first.");
    const { width, height, missing } = await readMask(blob).catch((error) => {
      throw nameFile(error, blob instanceof File ? blob.name : "mask");
    });
    if (width !== mask.width || height !== mask.height) {
      throw new Error("The mask must have the image's height and width; the image is " +
        `${mask.height}×${mask.width}, the mask is ${height}×${width}.`);
    }
    if (this.mask !== mask) return;
    this.changeMask(() => {
      mask.change({ found: missing });
      if (isOwn) mask.settle();
    });
  }

  /** @param {string} text a number, nan, none, or empty for what the file says */
  async setNodata(text) {
    this.nodata = text;
    const { picture, mask } = this;
    if (!picture || !mask) return;
    if (picture.byServer) return this.#lookAgain(picture, mask, text);
    const isValue = text !== "" && text.toLowerCase() !== "none";
    const found = isValue ? await background.findNodata(readNumber(text)) : null;
    if (this.nodata === text && this.mask === mask) {
      this.changeMask(() => mask.setReason(NODATA, found));
    }
    await this.redrawStretched();
  }

  /** @param {import("./api.js").Model} [chosen] model that will answer; none if there is none */
  async setModel({ name = "", version = "", image, limits } = /** @type {any} */ ({})) {
    const range = findRange(image);
    const same = JSON.stringify(range) === JSON.stringify(this.range);
    const wasStretched = this.stretch;
    if (!same) this.range = range;
    this.target = { model: name, version };
    this.limits = limits;
    this.canStretch = Boolean(image?.statistics);
    this.stretch &&= this.canStretch;
    this.#tell("values");
    if (!same || wasStretched) await this.#draw();
  }

  /** @param {boolean} stretch */
  async setStretch(stretch) {
    this.stretch = stretch;
    this.#tell("values");
    this.noteStale();
    await this.#draw();
  }

  /** Draw again if the values are stretched, because the valid pixels decide how. */
  async redrawStretched() {
    if (this.stretch) await this.#draw();
  }

  /** Draw the picture as the model is given it. */
  async #draw() {
    await this.#drawBy(async (picture) => {
      const { range, stretch } = this;
      if (stretch || !picture.hasNumbers) return this.#drawByServer(picture);
      return { ...await background.repaint(range), inRange: range !== null };
    });
  }

  /**
   * Draw the picture anew, unless another drawing begins meanwhile.
   *
   * @param {(picture: Picture) => Promise<Drawing|null>} make
   * @returns {Promise<boolean>} true if it was drawn
   */
  async #drawBy(make) {
    const { picture } = this;
    if (!picture) return false;
    const mine = ++this.#drawing;
    this.#setDrawing(true);
    try {
      const drawing = await make(picture);
      const isDrawn = drawing !== null && mine === this.#drawing && this.picture === picture;
      if (isDrawn) this.#replace(picture, drawing);
      return isDrawn;
    } finally {
      if (mine === this.#drawing) this.#setDrawing(false);
    }
  }

  /** @param {boolean} isDrawing */
  #setDrawing(isDrawing) {
    this.isDrawing = isDrawing;
    this.#tell("drawing");
  }

  /**
   * Request a preview of the picture, stretched if the values are.
   *
   * @param {Picture} picture
   * @returns {Promise<Drawing>}
   */
  async #drawByServer({ blob }) {
    const { stretch, target, nodata } = this;
    const { picture, inRange } = await preview(blob, stretch
      ? { ...target, nodata, stretch: "percentile", mask: await this.writeMask() }
      : { ...target, nodata });
    return { ...await background.lookAgain(picture, false, null), inRange };
  }

  /**
   * @param {Picture} picture
   * @param {Drawing} drawing
   */
  #replace(picture, { bitmap, small, inRange }) {
    picture.bitmap.close();
    picture.small?.close();
    Object.assign(picture, { bitmap, small, inRange });
    this.#tell("drawn");
  }

  /**
   * Request a new preview with another no-data value, which stands in place of the file's.
   *
   * @param {Picture} picture
   * @param {Mask} mask
   * @param {string} nodata
   */
  async #lookAgain(picture, mask, nodata) {
    const isCurrent = () => this.nodata === nodata && this.picture === picture;
    const isDrawn = await this.#drawBy(async () => {
      const { stretch, range, target } = this;
      const { signal } = this.#turn;
      const seen = await preview(picture.blob, { ...target, nodata });
      // An exact preview has the numbers below what was missing. The worker must not take them
      // for those of a picture that is opened meanwhile.
      const { missing, ...drawing } =
        await background.lookAgain(seen.picture, seen.exact && !signal.aborted, range);
      if (!isCurrent()) return null;
      // What was missing in the file and still is, is so for another reason than the value.
      const still = missing?.map((found, at) =>
        (nodata === "" || mask.cells[at] & BY_FILE ? found : 0));
      const others = missing?.map((found, at) => (still?.[at] ? 0 : found));
      this.changeMask(() => {
        mask.setReason(BY_FILE, still ?? null);
        mask.setReason(NODATA, others ?? null);
      });
      if (stretch) return null;
      return { ...drawing, inRange: seen.exact ? range !== null : seen.inRange };
    });
    if (!isDrawn && isCurrent()) await this.#draw();
  }

  /** @param {number} value pixels all of whose channels are less are marked */
  async markBelow(value) {
    const { mask } = this;
    const found = await background.findBelow(value);
    if (mask && found && this.mask === mask) {
      this.changeMask(() => mask.change({ kept: true, found }));
    }
  }

  /** @param {() => void} change */
  changeMask(change) {
    change();
    this.noteChange();
  }

  /** Announce a change of the mask. */
  noteChange() {
    this.#tell("mask");
    this.noteStale();
  }

  /** Announce that the answer has planes. */
  noteLayers() {
    this.#tell("layers");
  }

  /** Mark the answer as outdated. */
  noteStale() {
    this.changes++;
    if (!this.answer || this.isStale) return;
    this.isStale = true;
    this.#tell("stale");
  }

  /** Name of the file that the marks are in, or are saved as; empty if there are none. */
  get maskName() {
    const { picture, mask } = this;
    if (!picture || !mask?.marked) return "";
    const isUnchanged = picture.sampleOf && !mask.past.length && !mask.future.length;
    return isUnchanged ? picture.name.replace(".png", "-mask.png") : "mask.png";
  }

  /** @returns {Promise<Blob|null>} the user's marks as a mask file; null if there are none */
  async writeMask() {
    const { mask } = this;
    if (!mask?.marked) return null;
    return background.writeMaskPng(mask.cells, mask.width, mask.height, MARKED);
  }

  /** @param {Answer} answer to the present picture */
  async setAnswer(answer) {
    const { mask } = this;
    if (!mask) return;
    const { width, height } = mask;
    const rows = Math.ceil(BAND_PIXELS / width);
    for (let row = 0; row < height; row += rows) {
      if (row) await new Promise((resolve) => { setTimeout(resolve); }); // the page stays usable
      mask.correct(answer.labels, row, Math.min(height, row + rows));
    }
    if (this.mask !== mask) return;
    this.answer = answer;
    this.isStale = false;
    this.#tell("mask");
    this.#tell("answer");
  }

  /** @param {string} name */
  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** @param {Blob} blob */
async function readMask(blob) {
  return await background.openMask(blob) ?? background.openMask(
    (await preview(blob, { mask: blob, nodata: "none" })).picture, true);
}

/**
 * Open an image that the browser cannot read, by a preview from the server.
 *
 * @param {Blob} blob
 * @param {{model: string, version: string, signal: AbortSignal}} options
 * @param {import("./range.js").Range|null} range
 */
async function openUnreadable(blob, options, range) {
  const { picture, exact, inRange } = await preview(blob, options);
  options.signal.throwIfAborted(); // the worker keeps the picture that it opened last
  const opened = await background.openPicture(picture, exact, range);
  return exact ? opened : { ...opened, inRange };
}

/** @param {string} text @returns {number} NaN for nan, and for text that is not a number */
export function readNumber(text) {
  return Number(text.trim().replace("−", "-").replace(",", ".") || NaN);
}
