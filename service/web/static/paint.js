/**
 * Pointer, wheel and keys on the picture: they move the picture, or control the selected tool.
 *
 * With a tool selected, arrow keys move a cursor, space presses, enter finishes a shape and escape
 * cancels it. With the hand, arrow keys move the picture.
 */

import { Brush, Polygon, Rectangle } from "./tools.js";

/** @typedef {import("./shapes.js").Point} Point */
/** @typedef {"hand"|"brush"|"rectangle"|"polygon"} ToolName */

const STEPS = new Map([
  ["ArrowLeft", [-1, 0]], ["ArrowRight", [1, 0]], ["ArrowUp", [0, -1]], ["ArrowDown", [0, 1]],
]);
const PAN_PIXELS = 48;
const LARGE_STEP = 10;

export class Painter {
  /**
   * @param {import("./view.js").View} view
   * @param {() => import("./mask.js").Mask|null} getMask
   */
  constructor(view, getMask) {
    this.view = view;
    this.getMask = getMask;
    this.radius = 12;
    this.marks = true;
    /** @type {ToolName} */
    this.name = "hand";
    const setting = { mask: getMask, marks: () => this.marks, radius: () => this.radius };
    this.tools = {
      brush: new Brush(setting), rectangle: new Rectangle(setting), polygon: new Polygon(setting),
    };
    /** Place of the pointer or the keyboard's cursor; null if neither is on the picture.
     * @type {Point|null} */
    this.cursor = null;
    /** @type {Map<number, Point>} */
    this.pointers = new Map();
    this.onPoint = () => {};
    this.onChange = () => {};
    view.drawTool = (pen) => {
      if (this.tool && this.cursor) this.tool.draw(pen, view, this.cursor);
    };
    this.#listen(view.canvas);
  }

  get tool() {
    return this.name === "hand" ? null : this.tools[this.name];
  }

  /** @param {ToolName} name */
  choose(name) {
    this.tool?.cancel();
    this.name = name;
    this.view.canvas.dataset.tool = name;
    this.view.request();
    this.onChange();
  }

  /** @param {HTMLCanvasElement} canvas */
  #listen(canvas) {
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(name, (event) => this.#release(event));
    }
    canvas.addEventListener("pointerleave", () => {
      if (!this.tool?.isActive) this.#point(null);
    });
    canvas.addEventListener("dblclick", () => this.name === "polygon" && this.finish());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)),
        this.view.locate(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.name === "brush" && this.finish());
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (!this.getMask()) return;
    const at = this.view.locate(event);
    this.view.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) {
      this.tool?.cancel(); // a second finger: it is the picture that is to move
      return;
    }
    const point = this.view.toPicture(at);
    this.#point(point);
    if (event.button === 0) this.tool?.press(point, this.view);
    this.onChange();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const at = this.view.locate(event);
    const before = this.pointers.get(event.pointerId);
    if (before) {
      if (this.pointers.size > 1) this.#pinch(event.pointerId, before, at);
      else if (!this.tool || event.buttons & 6) this.view.pan(at.x - before.x, at.y - before.y);
      else this.#drag(event);
      this.pointers.set(event.pointerId, at);
    }
    this.#point(this.view.toPicture(at));
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    // All the places where the pointer was since the last frame, or a quick stroke has corners.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      this.tool?.move(this.view.toPicture(this.view.locate(one)));
    }
  }

  /** @param {number} moving @param {Point} before @param {Point} after */
  #pinch(moving, before, after) {
    const other = [...this.pointers].find(([id]) => id !== moving)?.[1];
    if (!other) return;
    const span = (/** @type {Point} */ point) => Math.hypot(point.x - other.x, point.y - other.y);
    this.view.zoom(span(after) / (span(before) || 1), other);
  }

  /** @param {PointerEvent} event */
  #release(event) {
    const pointers = this.pointers.size;
    this.pointers.delete(event.pointerId);
    if (pointers !== 1 || !this.tool) return;
    if (event.type === "pointercancel") this.tool.cancel();
    else this.tool.release(this.view.toPicture(this.view.locate(event)));
    if (event.pointerType === "touch") this.#point(null);
    this.view.request();
    this.onChange();
  }

  /** @param {Point|null} point */
  #point(point) {
    this.cursor = point;
    this.onPoint();
    if (this.tool) this.view.request();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const mask = this.getMask();
    if (!mask || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS.get(event.key);
    if (step) this.#step(step[0], step[1], event.shiftKey);
    else if (!this.#command(event.key)) return;
    event.preventDefault();
    this.view.request();
    this.onChange();
  }

  /** @param {number} dx @param {number} dy @param {boolean} large */
  #step(dx, dy, large) {
    if (!this.tool) {
      this.view.pan(-dx * PAN_PIXELS, -dy * PAN_PIXELS);
      return;
    }
    const mask = this.getMask();
    if (!mask) return;
    const by = large ? LARGE_STEP : 1;
    const from = this.cursor ?? { x: mask.width / 2, y: mask.height / 2 };
    // Centres of pixels, and always on the picture.
    const point = {
      x: Math.min(mask.width, Math.max(1, Math.floor(from.x) + 1 + dx * by)) - 0.5,
      y: Math.min(mask.height, Math.max(1, Math.floor(from.y) + 1 + dy * by)) - 0.5,
    };
    this.view.reveal(point);
    this.#point(point);
    this.tool.move(point);
  }

  /** @param {string} key @returns {boolean} whether it means anything */
  #command(key) {
    switch (key) {
      case "+": case "=": this.view.zoom(1.25); return true;
      case "-": this.view.zoom(0.8); return true;
      case "0": this.view.fit(); return true;
      case "1": this.view.showActual(); return true;
      case " ": this.#pressKey(); return true;
      case "Enter": this.finish(); return true;
      case "Escape": this.tool?.cancel(); return true;
      case "Backspace": this.tools.polygon.stepBack(); return true;
      default: return false;
    }
  }

  #pressKey() {
    const { tool } = this;
    if (!tool) return;
    if (!this.cursor) this.#step(0, 0, false);
    if (!this.cursor) return;
    // A second time it lifts the brush, or sets the opposite corner.
    if (tool.isActive && this.name !== "polygon") tool.release(this.cursor);
    else tool.press(this.cursor);
  }

  /** Close the shape that was begun. */
  finish() {
    if (this.tool?.confirm()) this.view.request();
    this.onChange();
  }
}
