/**
 * A layer of bytes, drawn in the colours of a palette. It consists of tiles. Only visible tiles
 * that have changed are coloured again, and only as many as there is time for in a frame. Seen from
 * afar, they are coloured only in every second, fourth, … row and column, so that the layer of a
 * large picture takes no more memory than the screen.
 */

import { TILE } from "./mask.js";

/**
 * @typedef {{scale: number, x: number, y: number, width: number, height: number}} Frame
 *   pixels of the screen for one of the picture; where its corner lies; size of the screen
 * @typedef {{x: number, y: number, width: number, height: number, canvas: OffscreenCanvas|null,
 *   step: number, dirty: [number, number, number, number]|null}} Tile step is how many pixels of
 *   the layer one of its canvas stands for, down and across
 */

export class TiledLayer {
  /**
   * @param {number} width
   * @param {number} height
   * @param {Uint8Array} cells H × W; the layer looks at them again wherever it is told to
   * @param {Uint32Array} palette 256 colours, as a canvas has them in memory
   */
  constructor(width, height, cells, palette) {
    this.width = width;
    this.cells = cells;
    this.palette = palette;
    this.columns = Math.ceil(width / TILE);
    /** @type {Tile[]} */
    this.tiles = [];
    for (let y = 0; y < height; y += TILE) {
      for (let x = 0; x < width; x += TILE) {
        const [wide, high] = [Math.min(TILE, width - x), Math.min(TILE, height - y)];
        const dirty = /** @type {Tile["dirty"]} */ ([0, 0, wide, high]);
        this.tiles.push({ x, y, width: wide, height: high, canvas: null, step: 1, dirty });
      }
    }
  }

  /** @param {Uint32Array} palette */
  setPalette(palette) {
    this.palette = palette;
    for (const tile of this.tiles) tile.dirty = [0, 0, tile.width, tile.height];
  }

  /**
   * @param {number} x0
   * @param {number} y0
   * @param {number} x1 after the last
   * @param {number} y1
   */
  markDirty(x0, y0, x1, y1) {
    for (let row = Math.floor(y0 / TILE); row * TILE < y1; row++) {
      for (let column = Math.floor(x0 / TILE); column * TILE < x1; column++) {
        const tile = this.tiles[row * this.columns + column];
        const [left, top, right, bottom] = tile.dirty ?? [Infinity, Infinity, 0, 0];
        tile.dirty = [
          Math.min(left, Math.max(0, x0 - tile.x)), Math.min(top, Math.max(0, y0 - tile.y)),
          Math.max(right, Math.min(tile.width, x1 - tile.x)),
          Math.max(bottom, Math.min(tile.height, y1 - tile.y)),
        ];
      }
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Frame} frame
   * @param {number} until of `performance.now()`, when colouring has to stop
   * @returns {boolean} true if all visible tiles are up to date
   */
  draw(context, frame, until) {
    let complete = true;
    const step = chooseStep(frame.scale);
    context.imageSmoothingEnabled = false;
    for (const tile of this.tiles) {
      // Whole pixels of the screen, or seams would show between tiles.
      const left = Math.round(frame.x + tile.x * frame.scale);
      const top = Math.round(frame.y + tile.y * frame.scale);
      const right = Math.round(frame.x + (tile.x + tile.width) * frame.scale);
      const bottom = Math.round(frame.y + (tile.y + tile.height) * frame.scale);
      if (tile.step !== step) tile.dirty = [0, 0, tile.width, tile.height];
      if (right <= 0 || bottom <= 0 || left >= frame.width || top >= frame.height) {
        if (tile.step !== step) tile.canvas = null;
        continue;
      }
      if (tile.dirty && performance.now() < until) this.#color(tile, step);
      if (tile.dirty) complete = false;
      if (tile.canvas) context.drawImage(tile.canvas, left, top, right - left, bottom - top);
    }
    return complete;
  }

  /** @param {Tile} tile @param {number} step */
  #color(tile, step) {
    const [left, top, right, bottom] = (tile.dirty ?? [0, 0, 0, 0]).map((side, at) =>
      (at < 2 ? Math.floor(side / step) : Math.ceil(side / step)));
    const [wide, high] = [right - left, bottom - top];
    tile.dirty = null;
    if (wide <= 0 || high <= 0) return;
    const picture = new ImageData(wide, high);
    const colors = new Uint32Array(picture.data.buffer);
    for (let y = 0; y < high; y++) {
      const row = (tile.y + (top + y) * step) * this.width + tile.x + left * step;
      for (let x = 0; x < wide; x++) {
        colors[y * wide + x] = this.palette[this.cells[row + x * step]];
      }
    }
    if (tile.step !== step) [tile.canvas, tile.step] = [null, step];
    tile.canvas ??= new OffscreenCanvas(
      Math.ceil(tile.width / step), Math.ceil(tile.height / step));
    tile.canvas.getContext("2d")?.putImageData(picture, left, top);
  }
}

/** @param {number} scale @returns {number} a power of two, 1 where pixels are seen one by one */
function chooseStep(scale) {
  return Math.min(TILE, 2 ** Math.max(0, Math.floor(Math.log2(1 / scale))));
}

/**
 * @param {string} color as "#66a61e"
 * @returns {number[]} red, green and blue
 */
export function readColor(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

/**
 * @param {(index: number) => number[]|null} choose red, green and blue; null for nothing
 * @returns {Uint32Array}
 */
export function makePalette(choose) {
  const bytes = new Uint8ClampedArray(1024);
  for (let index = 0; index < 256; index++) {
    const color = choose(index);
    if (color) bytes.set([...color, 255], index * 4);
  }
  return new Uint32Array(bytes.buffer);
}
