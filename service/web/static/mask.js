/**
 * Mask of missing pixels, with reasons. A cell is 0 if its pixel is valid; otherwise its bits are
 * the reasons. The user can set only marks, and only marks can be undone.
 */

export const MARKED = 1;
/** Missing in the file: transparent, or not a finite number. */
export const BY_FILE = 2;
export const NODATA = 4;
/** Missing in the server's answer, for a reason that the page does not know. */
export const BY_SERVER = 8;

export const TILE = 512;
const HISTORY_BYTES = 128 * 1024 * 1024;

/** @typedef {Map<number, Uint8Array>} Step marks of tiles before a change, by tile number */

export class Mask {
  /**
   * @param {number} width
   * @param {number} height
   */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.cells = new Uint8Array(width * height);
    /** Numbers of cells that are not 0, and of cells that are marked. */
    this.missing = 0;
    this.marked = 0;
    /** Number of changes of marks. */
    this.revision = 0;
    this.columns = Math.ceil(width / TILE);
    /** @type {(x0: number, y0: number, x1: number, y1: number) => void} */
    this.onChange = () => {};
    /** @type {Step[]} */
    this.past = [];
    /** @type {Step[]} */
    this.future = [];
    /** @type {Step|null} */
    this.step = null;
  }

  /** Begin a change that is undone as a whole: a stroke, a shape. */
  begin() {
    this.step = new Map();
  }

  end() {
    if (this.step?.size) {
      this.past.push(this.step);
      this.revision++;
      this.future = [];
      this.#forget();
    }
    this.step = null;
  }

  /** Cancel the change that was begun. */
  cancel() {
    const { step } = this;
    this.step = null;
    for (const [tile, marks] of step ?? []) this.#putBack(tile, marks);
  }

  /**
   * Mark or restore pixels of a row; what lies outside the picture is ignored.
   *
   * @param {number} y
   * @param {number} from first column
   * @param {number} to column after the last
   * @param {boolean} marked
   */
  fillSpan(y, from, to, marked) {
    const x0 = Math.max(0, from);
    const x1 = Math.min(this.width, to);
    if (y < 0 || y >= this.height || x0 >= x1) return;
    for (let tile = Math.floor(x0 / TILE); tile * TILE < x1; tile++) {
      this.#remember(Math.floor(y / TILE) * this.columns + tile);
    }
    const { cells } = this;
    const row = y * this.width;
    for (let at = row + x0; at < row + x1; at++) {
      const before = cells[at];
      const after = marked ? before | MARKED : before & ~MARKED;
      if (before === after) continue;
      cells[at] = after;
      this.#tally(before, after);
    }
    this.onChange(x0, y, x1, y + 1);
  }

  /**
   * Replace all marks by the present ones (if kept) together with found, or by their inverse.
   *
   * @param {{kept?: boolean, found?: Uint8Array|null, inverted?: boolean}} how
   */
  change({ kept = false, found = null, inverted = false }) {
    this.begin();
    const tiles = this.columns * Math.ceil(this.height / TILE);
    for (let tile = 0; tile < tiles; tile++) this.#remember(tile);
    const { cells } = this;
    const keep = kept ? MARKED : 0;
    const flip = inverted ? MARKED : 0;
    // One plain loop: these run over millions of cells on the page's own thread.
    for (let at = 0; at < cells.length; at++) {
      const mark = ((cells[at] & keep) | (found !== null && found[at] !== 0 ? MARKED : 0)) ^ flip;
      cells[at] = (cells[at] & ~MARKED) | mark;
    }
    this.end();
    this.#recount();
  }

  /**
   * Set the cells of a reason other than a mark.
   *
   * @param {number} reason
   * @param {Uint8Array|null} found not 0 where the reason applies
   */
  setReason(reason, found) {
    const { cells } = this;
    for (let at = 0; at < cells.length; at++) {
      cells[at] = (cells[at] & ~reason) | (found !== null && found[at] !== 0 ? reason : 0);
    }
    this.#recount();
  }

  /**
   * Correct rows of the mask by the server's answer.
   *
   * @param {Uint8Array} labels 255 where missing
   * @param {number} first row
   * @param {number} last row after the last
   */
  correct(labels, first, last) {
    const { cells } = this;
    let missing = 0;
    // Marks stay as they are; this loop runs over millions of cells on the page's own thread.
    for (let at = first * this.width; at < last * this.width; at++) {
      const before = cells[at];
      if (labels[at] !== 255) cells[at] &= MARKED;
      else if (before === 0) cells[at] = BY_SERVER;
      missing += Number(cells[at] !== 0) - Number(before !== 0);
    }
    this.missing += missing;
    this.onChange(0, first, this.width, last);
  }

  /** Make the present marks the first ones, which undo does not go behind. */
  settle() {
    this.past = [];
    this.future = [];
  }

  undo() {
    this.#exchange(this.past, this.future);
  }

  redo() {
    this.#exchange(this.future, this.past);
  }

  /** @param {Step[]} from @param {Step[]} to */
  #exchange(from, to) {
    const step = from.pop();
    if (!step) return;
    this.step = new Map();
    for (const [tile, marks] of step) {
      this.#remember(tile);
      this.#putBack(tile, marks);
    }
    to.push(this.step);
    this.revision++;
    this.step = null;
  }

  /** @param {number} tile */
  #remember(tile) {
    if (!this.step || this.step.has(tile)) return;
    const [x0, y0, x1, y1] = this.#frame(tile);
    const marks = new Uint8Array((x1 - x0) * (y1 - y0));
    for (let y = y0; y < y1; y++) {
      const row = this.cells.subarray(y * this.width + x0, y * this.width + x1);
      marks.set(row, (y - y0) * (x1 - x0));
    }
    this.step.set(tile, marks);
  }

  /** @param {number} tile @param {Uint8Array} marks */
  #putBack(tile, marks) {
    const [x0, y0, x1, y1] = this.#frame(tile);
    const { cells, width } = this;
    let [from, missing, marked] = [0, 0, 0];
    // One plain loop: it runs over millions of cells on the page's own thread.
    for (let y = y0; y < y1; y++) {
      for (let at = y * width + x0; at < y * width + x1; at++) {
        const before = cells[at];
        const mark = marks[from++] & MARKED;
        const after = (before & ~MARKED) | mark;
        cells[at] = after;
        missing += Number(after !== 0) - Number(before !== 0);
        marked += mark - (before & MARKED);
      }
    }
    this.missing += missing;
    this.marked += marked;
    this.onChange(x0, y0, x1, y1);
  }

  /** @param {number} tile */
  #frame(tile) {
    const x0 = (tile % this.columns) * TILE;
    const y0 = Math.floor(tile / this.columns) * TILE;
    return [x0, y0, Math.min(this.width, x0 + TILE), Math.min(this.height, y0 + TILE)];
  }

  /** @param {number} before @param {number} after */
  #tally(before, after) {
    this.missing += Number(after !== 0) - Number(before !== 0);
    this.marked += (after & MARKED) - (before & MARKED);
  }

  #recount() {
    const { cells } = this;
    let missing = 0;
    let marked = 0;
    for (let at = 0; at < cells.length; at++) {
      if (cells[at] !== 0) missing++;
      marked += cells[at] & MARKED;
    }
    this.missing = missing;
    this.marked = marked;
    this.onChange(0, 0, this.width, this.height);
  }

  /** Drop the oldest steps if all steps together take too much memory. */
  #forget() {
    const sizes = this.past.map((step) =>
      [...step.values()].reduce((sum, marks) => sum + marks.length, 0));
    let total = sizes.reduce((sum, size) => sum + size, 0);
    while (total > HISTORY_BYTES && this.past.length > 1) {
      total -= sizes.shift() ?? 0;
      this.past.shift();
    }
  }
}
