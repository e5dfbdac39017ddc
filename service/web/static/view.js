/** The picture on the screen: position, scale, and the layers drawn over it. */

import { makeHatch } from "./hatch.js";
import { TiledLayer, makePalette } from "./tiles.js";

const FRAME_MS = 10;
const LARGEST_SCALE = 40;
const MARGIN = 0.04;

const HATCHED = makePalette((cell) => (cell ? [0, 0, 0] : null));

/** @typedef {import("./shapes.js").Point} Point */
/**
 * @typedef {{width: number, height: number, bitmap: ImageBitmap, small: ImageBitmap|null}}
 *   Shown
 * @typedef {{layer: TiledLayer|null, hatched: boolean}} Side what is drawn over the picture: a
 *   layer or nothing, and missing pixels hatched or not
 */

export class View {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.veil = new OffscreenCanvas(1, 1);
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.opacity = 0.6;
    /** Part of the smaller side of the screen that stays free around a picture that is fitted. */
    this.margin = MARGIN;
    this.fitted = true;
    /** @type {Shown|null} */
    this.shown = null;
    /** @type {TiledLayer|null} */
    this.hatch = null;
    /** @type {TiledLayer|null} */
    this.overlay = null;
    /** What is drawn in place of the overlay on the left of the split; null without a split.
     * @type {Side|null} */
    this.left = null;
    /** Place of the split, in parts of the screen's width. */
    this.split = 0.5;
    /** @type {((context: CanvasRenderingContext2D, view: View) => void)} */
    this.drawTool = () => {};
    this.onMove = () => {};
    this.requested = false;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    this.pattern = makeHatch(this.context, dark.matches);
    dark.addEventListener("change", () => {
      this.pattern = makeHatch(this.context, dark.matches);
      this.request();
    });
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  /**
   * @param {Shown} shown
   * @param {import("./mask.js").Mask} mask
   */
  show(shown, mask) {
    this.shown = shown;
    this.overlay = this.left = null;
    const hatch = new TiledLayer(shown.width, shown.height, mask.cells, HATCHED);
    this.hatch = hatch;
    mask.onChange = (x0, y0, x1, y1) => {
      hatch.markDirty(x0, y0, x1, y1);
      this.request();
    };
    this.#resize();
    this.fit();
  }

  /** @param {Uint8Array} labels @param {Uint32Array} palette */
  showLabels(labels, palette) {
    if (!this.shown) return;
    this.overlay = new TiledLayer(this.shown.width, this.shown.height, labels, palette);
    this.request();
  }

  /** @param {Uint32Array} palette */
  recolor(palette) {
    this.overlay?.setPalette(palette);
    this.request();
  }

  /**
   * Split the screen: another layer, or the picture alone, on the left of the overlay.
   *
   * @param {{cells: Uint8Array|null, palette?: Uint32Array, hatched?: boolean}|null} left null for
   *   no split
   */
  splitScreen(left) {
    if (!this.shown) return;
    const { width, height } = this.shown;
    this.left = left && {
      layer: left.cells && left.palette
        ? new TiledLayer(width, height, left.cells, left.palette) : null,
      hatched: left.hatched ?? true,
    };
    this.request();
  }

  /** @param {number} split in parts of the screen's width */
  moveSplit(split) {
    this.split = split;
    this.request();
  }

  /** @param {number} opacity of 1 */
  setOpacity(opacity) {
    this.opacity = opacity;
    this.request();
  }

  fit() {
    if (!this.shown) return;
    const { width, height } = this.canvas;
    const margin = Math.min(width, height) * this.margin;
    const scale = Math.min(
      (width - 2 * margin) / this.shown.width, (height - 2 * margin) / this.shown.height);
    this.#place(Math.max(Math.min(scale, 8), 1e-3));
    this.fitted = true;
  }

  /** Show one pixel of the picture on one pixel of the screen. */
  showActual() {
    this.#place(1);
    this.fitted = false;
  }

  /** @returns {{x: number, y: number, scale: number}|null} what is in the middle of the screen, and
   *   its scale; null if the whole picture is fitted in */
  get place() {
    const { width, height } = this.canvas;
    const middle = this.toPicture({ x: width / 2, y: height / 2 });
    return this.fitted ? null : { ...middle, scale: this.scale };
  }

  /** @param {{x: number, y: number, scale: number}} place to bring into the middle of the screen */
  goTo({ x, y, scale }) {
    this.scale = Math.min(LARGEST_SCALE, scale);
    this.x = this.canvas.width / 2 - x * this.scale;
    this.y = this.canvas.height / 2 - y * this.scale;
    this.fitted = false;
    this.#moved();
  }

  /** @param {number} scale */
  #place(scale) {
    if (!this.shown) return;
    this.scale = scale;
    this.x = Math.round((this.canvas.width - this.shown.width * scale) / 2);
    this.y = Math.round((this.canvas.height - this.shown.height * scale) / 2);
    this.#moved();
  }

  /**
   * @param {number} factor
   * @param {Point} [center] of the screen; its middle by default
   */
  zoom(factor, center = { x: this.canvas.width / 2, y: this.canvas.height / 2 }) {
    if (!this.shown) return;
    const longest = Math.max(this.shown.width, this.shown.height);
    const least = Math.min(1, (Math.min(this.canvas.width, this.canvas.height) * 0.25) / longest);
    const scale = Math.min(LARGEST_SCALE, Math.max(least, this.scale * factor));
    this.x = center.x - ((center.x - this.x) * scale) / this.scale;
    this.y = center.y - ((center.y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.#moved();
  }

  /** @param {number} dx pixels of the screen @param {number} dy */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#moved();
  }

  /** Bring a point of the picture onto the screen. @param {Point} point */
  reveal(point) {
    const { x, y } = this.toScreen(point);
    const edge = 24;
    const { width, height } = this.canvas;
    const dx = Math.max(edge - x, 0) + Math.min(width - edge - x, 0);
    const dy = Math.max(edge - y, 0) + Math.min(height - edge - y, 0);
    if (dx || dy) this.pan(dx, dy);
  }

  #moved() {
    if (!this.shown) return;
    // Part of the picture always stays visible.
    const { width, height } = this.canvas;
    const [wide, high] = [this.shown.width * this.scale, this.shown.height * this.scale];
    this.x = Math.min(width * 0.75, Math.max(width * 0.25 - wide, this.x));
    this.y = Math.min(height * 0.75, Math.max(height * 0.25 - high, this.y));
    this.onMove();
    this.request();
  }

  /** @param {{clientX: number, clientY: number}} event @returns {Point} on the screen */
  locate({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / (box.width || 1);
    return { x: (clientX - box.left) * ratio, y: (clientY - box.top) * ratio };
  }

  /** @param {Point} point of the screen @returns {Point} of the picture */
  toPicture({ x, y }) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  /** @param {Point} point of the picture @returns {Point} of the screen */
  toScreen({ x, y }) {
    return { x: x * this.scale + this.x, y: y * this.scale + this.y };
  }

  #resize() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (!width || !height || (width === this.canvas.width && height === this.canvas.height)) return;
    this.pan((width - this.canvas.width) / 2, (height - this.canvas.height) / 2);
    const { fitted } = this;
    this.canvas.width = this.veil.width = width;
    this.canvas.height = this.veil.height = height;
    if (fitted) this.fit();
    this.#draw();
  }

  /** Draw in the next frame, once for all calls. */
  request() {
    if (this.requested) return;
    this.requested = true;
    requestAnimationFrame(() => {
      this.requested = false;
      this.#draw();
    });
  }

  #draw() {
    const { context, shown } = this;
    const { width, height } = this.canvas;
    context.clearRect(0, 0, width, height);
    if (!shown) return;
    const until = performance.now() + FRAME_MS;
    const frame = { scale: this.scale, x: this.x, y: this.y, width, height };
    this.#drawPicture(shown);
    const complete = this.left
      ? this.#drawSplit(this.left, frame, until)
      : this.#drawSide({ layer: this.overlay, hatched: true }, frame, until);
    this.drawTool(context, this);
    if (!complete) this.request();
  }

  /** @param {Side} left @param {import("./tiles.js").Frame} frame @param {number} until */
  #drawSplit(left, frame, until) {
    const { context } = this;
    const at = Math.round(this.split * frame.width);
    const clip = (/** @type {number} */ from, /** @type {number} */ to, /** @type {Side} */ side) => {
      context.save();
      context.beginPath();
      context.rect(from, 0, to - from, frame.height);
      context.clip();
      const complete = this.#drawSide(side, frame, until);
      context.restore();
      return complete;
    };
    const complete = clip(0, at, left);
    const both = clip(at, frame.width, { layer: this.overlay, hatched: true }) && complete;
    context.fillStyle = "#fff";
    context.fillRect(at - 1, 0, 2, frame.height);
    return both;
  }

  /** @param {Side} side @param {import("./tiles.js").Frame} frame @param {number} until */
  #drawSide({ layer, hatched }, frame, until) {
    const { context } = this;
    context.globalAlpha = this.opacity;
    const complete = layer?.draw(context, frame, until) ?? true;
    context.globalAlpha = 1;
    return (!hatched || this.#drawHatch(frame, until)) && complete;
  }

  /** @param {Shown} shown */
  #drawPicture({ width, height, bitmap, small }) {
    const { context } = this;
    const [left, top] = [Math.round(this.x), Math.round(this.y)];
    const right = Math.round(this.x + width * this.scale);
    const bottom = Math.round(this.y + height * this.scale);
    const source = small && right - left <= small.width ? small : bitmap;
    context.imageSmoothingEnabled = this.scale < 2;
    context.imageSmoothingQuality = this.scale < 0.5 && source === bitmap ? "medium" : "low";
    context.drawImage(source, left, top, right - left, bottom - top);
  }

  /** @param {import("./tiles.js").Frame} frame @param {number} until */
  #drawHatch(frame, until) {
    const veil = /** @type {any} */ (this.veil.getContext("2d"));
    if (!this.hatch || !veil) return true;
    veil.globalCompositeOperation = "copy";
    veil.fillStyle = "transparent";
    veil.fillRect(0, 0, frame.width, frame.height);
    veil.globalCompositeOperation = "source-over";
    const complete = this.hatch.draw(veil, frame, until);
    veil.globalCompositeOperation = "source-in";
    veil.fillStyle = this.pattern;
    veil.fillRect(0, 0, frame.width, frame.height);
    this.context.drawImage(this.veil, 0, 0);
    return complete;
  }
}
