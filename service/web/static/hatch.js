/** Hatch of missing pixels: diagonal lines in pixels of the screen, the same at every zoom. */

const SIDE = 8;

/**
 * @param {CanvasRenderingContext2D} context
 * @param {boolean} dark
 * @returns {CanvasPattern}
 */
export function makeHatch(context, dark) {
  const tile = new OffscreenCanvas(SIDE, SIDE);
  const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (tile.getContext("2d"));
  pen.fillStyle = dark ? "rgb(38 41 45 / 84%)" : "rgb(236 236 238 / 82%)";
  pen.fillRect(0, 0, SIDE, SIDE);
  pen.strokeStyle = dark ? "rgb(170 175 182 / 70%)" : "rgb(70 72 80 / 70%)";
  pen.lineWidth = 1.25;
  pen.beginPath();
  for (const shift of [-SIDE, 0, SIDE]) {
    pen.moveTo(shift - 1, SIDE + 1);
    pen.lineTo(shift + SIDE + 1, -1);
  }
  pen.stroke();
  return /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
}
