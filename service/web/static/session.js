/**
 * State of the page: a picture, its mask, and the answer. Changes are announced by the events
 * `opening`, `picture`, `drawing`, `drawn`, `values`, `mask`, `answer` and `stale`.
 */

import { preview } from "./api.js";
import { background } from "./background.js";
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
 * @property {boolean} hasNumbers true if the page knows the pixel values, not only a preview
 * @property {boolean} inRange true if it is drawn as the model is given it
 *
 * @typedef {object} Answer
 * @property {ArrayBuffer} content JSON of the answer
 * @property {any} summary
 * @property {Uint8Array} labels H × W, 255 = missing
 * @property {Map<string, number>} timings milliseconds by stage
 * @property {number} tookMs
 */

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
  /** @type {import("./range.js").Range|null} */
  range = null;
  /** True if the server can stretch the values for the model. */
  canStretch = false;
  /** True if it shall. */
  stretch = false;
  /** True if picture or mask have changed since the answer. */
  isStale = false;
  /** Name of the picture that is being opened; empty if there is none. */
  opening = "";
  /** True while the picture is drawn anew. */
  isDrawing = false;
  /** Number of the last drawing; an earlier one is dropped. */
  #drawing = 0;
  /** Controller of the last opening; an earlier one is aborted. */
  #turn = new AbortController();

  /** @param {Blob} blob @param {string} name */
  async openPicture(blob, name) {
    this.#turn.abort();
    const { signal } = this.#turn = new AbortController();
    this.#setOpening(name);
    try {
      const { range, target } = this;
      const opened = await background.openPicture(blob, true, range)
        ?? await openUnreadable(blob, { ...target, signal }, range);
      signal.throwIfAborted();
      await this.#take({ blob, name, inRange: range !== null, ...opened });
      if (this.range !== range) await this.#draw();
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      if (!signal.aborted) this.#setOpening("");
    }
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

  /** @param {Blob} blob */
  async openMask(blob) {
    const { picture, mask } = this;
    if (!picture || !mask) throw new Error("A mask needs an image; open the image first.");
    const { width, height, missing } = await background.openMask(blob)
      ?? await background.openMask((await preview(blob, { mask: blob })).picture, true);
    if (width !== mask.width || height !== mask.height) {
      throw new Error("The mask must have the image's height and width; the image is " +
        `${mask.height}×${mask.width}, the mask is ${height}×${width}.`);
    }
    if (this.mask === mask) this.changeMask(() => mask.change({ found: missing }));
  }

  /** @param {string} text a number, nan, or empty for none */
  async setNodata(text) {
    this.nodata = text;
    const { picture, mask } = this;
    if (!picture || !mask) return;
    let found = null;
    if (!picture.hasNumbers) found = await this.#findByPreview(picture, mask, text);
    else if (text !== "") found = await background.findNodata(readNumber(text));
    if (this.nodata === text && this.mask === mask) {
      this.changeMask(() => mask.setReason(NODATA, found));
    }
    await this.redrawStretched();
  }

  /** @param {import("./api.js").Model} [chosen] model that will answer; none if there is none */
  async setModel({ name = "", version = "", image } = /** @type {any} */ ({})) {
    const range = findRange(image);
    const same = JSON.stringify(range) === JSON.stringify(this.range);
    const wasStretched = this.stretch;
    if (!same) this.range = range;
    this.target = { model: name, version };
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
    const { picture, range, stretch } = this;
    if (!picture) return;
    const mine = ++this.#drawing;
    this.#setDrawing(true);
    try {
      const drawn = stretch || !picture.hasNumbers
        ? await this.#lookAgain(picture, { nodata: this.nodata })
        : { ...await background.repaint(range), inRange: range !== null };
      if (mine === this.#drawing && this.picture === picture) this.#replace(picture, drawn);
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
   * Request a new preview.
   *
   * @param {Picture} picture
   * @param {{nodata: string}} options
   */
  async #lookAgain({ blob }, { nodata }) {
    const { stretch, target } = this;
    const { picture, inRange } = await preview(blob, stretch
      ? { ...target, nodata, stretch: "percentile", mask: await this.writeMask() }
      : { ...target, nodata });
    return { ...await background.lookAgain(picture), inRange };
  }

  /**
   * @param {Picture} picture
   * @param {{bitmap: ImageBitmap, small: ImageBitmap|null, inRange: boolean}} drawn
   */
  #replace(picture, { bitmap, small, inRange }) {
    picture.bitmap.close();
    picture.small?.close();
    Object.assign(picture, { bitmap, small, inRange });
    this.#tell("drawn");
  }

  /**
   * Find missing pixels by a new preview with another no-data value.
   *
   * @param {Picture} picture
   * @param {Mask} mask
   * @param {string} nodata
   * @returns {Promise<Uint8Array|null>} not 0 where a pixel is missing by that
   */
  async #findByPreview(picture, mask, nodata) {
    const drawn = await this.#lookAgain(picture, { nodata });
    if (this.nodata === nodata && this.picture === picture) this.#replace(picture, drawn);
    const { missing } = drawn;
    if (!missing || nodata === "") return null;
    for (let at = 0; at < missing.length; at++) if (mask.cells[at] & BY_FILE) missing[at] = 0;
    return missing;
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

  /** Mark the answer as outdated. */
  noteStale() {
    if (!this.answer || this.isStale) return;
    this.isStale = true;
    this.#tell("stale");
  }

  /** @returns {Promise<Blob|null>} the user's marks as a mask file; null if there are none */
  async writeMask() {
    const { mask } = this;
    if (!mask?.marked) return null;
    return background.writeMaskPng(mask.cells, mask.width, mask.height, MARKED);
  }

  /** @param {Answer} answer */
  setAnswer(answer) {
    this.mask?.correct(answer.labels);
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
