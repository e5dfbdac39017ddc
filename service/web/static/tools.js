/**
 * Brush, rectangle and polygon. Each follows the pointer or the keyboard's cursor and changes the
 * mask.
 *
 * @typedef {import("./mask.js").Mask} Mask
 * @typedef {import("./shapes.js").Point} Point
 * @typedef {{mask: () => Mask|null, marks: () => boolean, radius: () => number}} Setting what is
 *   painted on, whether pixels are marked or restored, and the brush's radius
 */

import { fillDisc, fillPolygon, fillRectangle, fillStroke } from "./shapes.js";

/** @param {Mask} mask @param {boolean} marked @returns {import("./shapes.js").Fill} */
function into(mask, marked) {
  return (y, from, to) => mask.fillSpan(y, from, to, marked);
}

class Tool {
  /** @param {Setting} setting */
  constructor(setting) {
    this.setting = setting;
  }

  /** @param {Point} _ @param {import("./view.js").View} [__] for what depends on the zoom */
  press(_, __) {}
  /** @param {Point} _ */
  move(_) {}
  /** @param {Point} _ */
  release(_) {}
  /** Finish a shape. @returns {boolean} whether there was one */
  confirm() {
    return false;
  }
  cancel() {}
  /** True if a stroke or shape was begun. */
  get isActive() {
    return false;
  }
  /** @param {CanvasRenderingContext2D} _ @param {import("./view.js").View} __ @param {Point} ___ */
  draw(_, __, ___) {}

  /** @param {(fill: import("./shapes.js").Fill) => void} paint */
  apply(paint) {
    const mask = this.setting.mask();
    if (!mask) return;
    mask.begin();
    paint(into(mask, this.setting.marks()));
    mask.end();
  }
}

export class Brush extends Tool {
  /** @type {Point|null} */
  last = null;

  /** @param {Point} point */
  press(point) {
    const mask = this.setting.mask();
    if (!mask) return;
    mask.begin();
    fillDisc(point, this.setting.radius(), into(mask, this.setting.marks()));
    this.last = point;
  }

  /** @param {Point} point */
  move(point) {
    const mask = this.setting.mask();
    if (!mask || !this.last) return;
    fillStroke(this.last, point, this.setting.radius(), into(mask, this.setting.marks()));
    this.last = point;
  }

  release() {
    if (this.last) this.setting.mask()?.end();
    this.last = null;
  }

  confirm() {
    const { isActive } = this;
    this.release();
    return isActive;
  }

  cancel() {
    if (this.last) this.setting.mask()?.cancel();
    this.last = null;
  }

  get isActive() {
    return this.last !== null;
  }

  /** @param {CanvasRenderingContext2D} pen @param {import("./view.js").View} view @param {Point} at */
  draw(pen, view, at) {
    const { x, y } = view.toScreen(at);
    pen.beginPath();
    pen.arc(x, y, Math.max(1.5, this.setting.radius() * view.scale), 0, 2 * Math.PI);
    outline(pen);
  }
}

export class Rectangle extends Tool {
  /** @type {Point|null} */
  first = null;

  /** @param {Point} point */
  press(point) {
    this.first = point;
  }

  /** @param {Point} point */
  release(point) {
    const { first } = this;
    this.first = null;
    if (first) this.apply((fill) => fillRectangle(first, point, fill));
  }

  cancel() {
    this.first = null;
  }

  get isActive() {
    return this.first !== null;
  }

  /** @param {CanvasRenderingContext2D} pen @param {import("./view.js").View} view @param {Point} at */
  draw(pen, view, at) {
    const first = this.first ?? at;
    const from = view.toScreen(
      { x: Math.floor(Math.min(first.x, at.x)), y: Math.floor(Math.min(first.y, at.y)) });
    const to = view.toScreen(
      { x: Math.floor(Math.max(first.x, at.x)) + 1, y: Math.floor(Math.max(first.y, at.y)) + 1 });
    pen.beginPath();
    pen.rect(from.x, from.y, to.x - from.x, to.y - from.y);
    outline(pen);
  }
}

export class Polygon extends Tool {
  /** @type {Point[]} */
  corners = [];
  /** Near the first corner, in pixels of the screen, a click closes the shape. */
  closeness = 10;

  /** @param {Point} point @param {import("./view.js").View} [view] */
  press(point, view) {
    const [first] = this.corners;
    if (first && view && this.corners.length > 2) {
      const [here, there] = [view.toScreen(point), view.toScreen(first)];
      if (Math.hypot(here.x - there.x, here.y - there.y) < this.closeness) {
        this.confirm();
        return;
      }
    }
    this.corners.push(point);
  }

  confirm() {
    const { corners } = this;
    this.corners = [];
    if (corners.length > 2) this.apply((fill) => fillPolygon(corners, fill));
    return corners.length > 2;
  }

  /** Remove the last corner. */
  stepBack() {
    this.corners.pop();
  }

  cancel() {
    this.corners = [];
  }

  get isActive() {
    return this.corners.length > 0;
  }

  /** @param {CanvasRenderingContext2D} pen @param {import("./view.js").View} view @param {Point} at */
  draw(pen, view, at) {
    const corners = [...this.corners, at].map((corner) => view.toScreen(corner));
    pen.beginPath();
    corners.forEach(({ x, y }, place) => (place ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    outline(pen);
    for (const { x, y } of corners) {
      pen.beginPath();
      pen.arc(x, y, 3.5, 0, 2 * Math.PI);
      outline(pen);
    }
  }
}

/** Draw a line that is visible on any background. @param {CanvasRenderingContext2D} pen */
function outline(pen) {
  pen.lineWidth = 3;
  pen.strokeStyle = "rgb(0 0 0 / 65%)";
  pen.stroke();
  pen.lineWidth = 1.25;
  pen.strokeStyle = "#fff";
  pen.stroke();
}
