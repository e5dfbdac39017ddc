/**
 * What the page is about at the moment: a picture, its mask, and the answer. It tells of changes by
 * the events `picture`, `mask`, `answer` and `stale`.
 */

import { background } from "./background.js";
import { BY_FILE, MARKED, Mask, NODATA } from "./mask.js";

/**
 * @typedef {object} Picture
 * @property {Blob} blob as it is sent
 * @property {string} name
 * @property {number} width
 * @property {number} height
 * @property {ImageBitmap|null} bitmap null where the browser cannot show it
 * @property {ImageBitmap|null} small the same, smaller, if it is large
 *
 * @typedef {object} Answer
 * @property {ArrayBuffer} content the JSON as it came
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
  /** Whether the answer is to something else than is there now. */
  isStale = false;
  /** How often a picture was opened, so that one that was overtaken is dropped. */
  #opened = 0;

  /** @param {Blob} blob @param {string} name */
  async openPicture(blob, name) {
    const turn = ++this.#opened;
    const { width, height, missing, bitmap, small } = await background.openPicture(blob);
    if (turn !== this.#opened) return;
    this.picture?.bitmap?.close();
    this.picture?.small?.close();
    this.picture = { blob, name, width, height, bitmap, small };
    this.mask = new Mask(width, height);
    if (missing) this.mask.setReason(BY_FILE, missing);
    this.answer = null;
    this.isStale = false;
    this.#tell("picture");
    if (this.nodata) await this.setNodata(this.nodata);
    this.#tell("mask");
  }

  /** @param {Blob} blob */
  async openMask(blob) {
    const { picture, mask } = this;
    if (!picture || !mask) throw new Error("A mask needs an image first.");
    const { width, height, missing } = await background.openMask(blob);
    if (width !== mask.width || height !== mask.height) {
      throw new Error("The mask must have the image's height and width; the image is " +
        `${mask.height}×${mask.width}, the mask is ${height}×${width}.`);
    }
    if (this.mask === mask) this.changeMask(() => mask.change({ found: missing }));
  }

  /** @param {string} text a number, nan, or empty for none */
  async setNodata(text) {
    this.nodata = text;
    const { mask } = this;
    if (!mask) return;
    const found = text === "" ? null : await background.findNodata(readNumber(text));
    if (this.nodata === text && this.mask === mask) {
      this.changeMask(() => mask.setReason(NODATA, found));
    }
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

  /** The mask is another than before. */
  noteChange() {
    this.#tell("mask");
    this.noteStale();
  }

  /** What an answer would be to is another than before. */
  noteStale() {
    if (!this.answer || this.isStale) return;
    this.isStale = true;
    this.#tell("stale");
  }

  /** @returns {Promise<Blob|null>} what the user has marked, as a file; null if that is nothing */
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

/** @param {string} text @returns {number} NaN for nan, and for whatever is no number */
export function readNumber(text) {
  return Number(text.trim().replace("−", "-").replace(",", ".") || NaN);
}
