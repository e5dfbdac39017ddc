/**
 * Shapes as spans of rows. A pixel belongs to a shape if its centre does.
 *
 * @typedef {{x: number, y: number}} Point in pixels, the first one's corner being 0, 0
 * @typedef {(y: number, from: number, to: number) => void} Fill
 */

/**
 * @param {Point} center
 * @param {number} radius
 * @param {Fill} fill
 */
export function fillDisc(center, radius, fill) {
  const first = Math.ceil(center.y - radius - 0.5);
  const last = Math.floor(center.y + radius - 0.5);
  for (let y = first; y <= last; y++) {
    const half = Math.sqrt(radius ** 2 - (y + 0.5 - center.y) ** 2);
    fill(y, Math.ceil(center.x - half - 0.5), Math.floor(center.x + half - 0.5) + 1);
  }
}

/**
 * Fill the area that a round brush covers between two points.
 *
 * @param {Point} start
 * @param {Point} end
 * @param {number} radius
 * @param {Fill} fill
 */
export function fillStroke(start, end, radius, fill) {
  const length = Math.hypot(end.x - start.x, end.y - start.y);
  if (length > 0) {
    const across = ((start.y - end.y) / length) * radius;
    const down = ((end.x - start.x) / length) * radius;
    fillPolygon([
      { x: start.x + across, y: start.y + down }, { x: end.x + across, y: end.y + down },
      { x: end.x - across, y: end.y - down }, { x: start.x - across, y: start.y - down },
    ], fill);
  }
  fillDisc(end, radius, fill);
}

/**
 * @param {Point} corner
 * @param {Point} opposite both pixels belong to it
 * @param {Fill} fill
 */
export function fillRectangle(corner, opposite, fill) {
  const [left, right] = sort(corner.x, opposite.x);
  const [top, bottom] = sort(corner.y, opposite.y);
  for (let y = top; y <= bottom; y++) fill(y, left, right + 1);
}

/**
 * @param {Point[]} corners where lines cross, odd is inside
 * @param {Fill} fill
 */
export function fillPolygon(corners, fill) {
  const heights = corners.map(({ y }) => y);
  const last = Math.floor(Math.max(...heights) - 0.5);
  for (let y = Math.ceil(Math.min(...heights) - 0.5); y <= last; y++) {
    const crossings = findCrossings(corners, y + 0.5);
    for (let at = 0; at + 1 < crossings.length; at += 2) {
      fill(y, Math.ceil(crossings[at] - 0.5), Math.ceil(crossings[at + 1] - 0.5));
    }
  }
}

/** @param {Point[]} corners @param {number} y */
function findCrossings(corners, y) {
  const crossings = [];
  for (let at = 0; at < corners.length; at++) {
    const start = corners[at];
    const end = corners[(at + 1) % corners.length];
    if (start.y <= y === end.y <= y) continue;
    crossings.push(start.x + ((y - start.y) / (end.y - start.y)) * (end.x - start.x));
  }
  return crossings.sort((one, other) => one - other);
}

/** @param {number} one @param {number} other */
function sort(one, other) {
  return [Math.floor(Math.min(one, other)), Math.floor(Math.max(one, other))];
}
