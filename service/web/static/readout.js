/** Position and label of the pixel under the pointer or the keyboard's cursor. */

import { find } from "./dom.js";
import { describePlace } from "./georeference.js";
import { BY_FILE, BY_SERVER, MARKED, NODATA } from "./mask.js";

const REASONS = /** @type {const} */ ([
  [MARKED, "marked"], [BY_FILE, "by the file"], [NODATA, "no data"], [BY_SERVER, "by the server"],
]);

/**
 * @param {import("./session.js").Session} session
 * @param {import("./paint.js").Painter} painter
 */
export function setUpReadout(session, painter) {
  const show = () => {
    const { mask, answer } = session;
    const x = Math.floor(painter.cursor?.x ?? -1);
    const y = Math.floor(painter.cursor?.y ?? -1);
    const inside = mask && x >= 0 && y >= 0 && x < mask.width && y < mask.height;
    find("readout-place").textContent = inside ? `x ${x}  y ${y}` : "\u00a0";
    find("readout-label").textContent = inside ? describe(mask.cells[y * mask.width + x],
      answer && session.isStale === false ? answer.labels[y * mask.width + x] : null,
      answer?.summary.classes ?? []) : "";
    const georeference = answer?.summary.georeference;
    // Control points alone do not tell where the pixels between them are.
    find("readout-map").hidden = !georeference?.transform;
    find("readout-map").textContent = georeference?.transform && inside
      ? describePlace(georeference, x, y) : "\u00a0";
  };
  painter.onPoint = show;
  session.addEventListener("picture", show);
  session.addEventListener("answer", show);
}

/**
 * @param {number} cell
 * @param {number|null} label
 * @param {{id: number, name: string}[]} classes
 */
function describe(cell, label, classes) {
  if (cell) {
    const reasons = REASONS.filter(([bit]) => cell & bit).map(([, name]) => name);
    return `missing (${reasons.join(", ")})`;
  }
  if (label === null) return "valid";
  return classes.find(({ id }) => id === label)?.name ?? `class ${label}`;
}
