/** Position and label of the pixel under the pointer or the keyboard's cursor. */

import { find } from "./dom.js";
import { describePlace } from "./georeference.js";
import { BY_FILE, BY_SERVER, MARKED, NODATA } from "./mask.js";
import { readByte } from "./planes.js";

const REASONS = /** @type {const} */ ([
  [MARKED, "marked"], [BY_FILE, "by the file"], [NODATA, "no data"], [BY_SERVER, "by the server"],
]);

/** Classes whose probabilities are told, the most probable ones. */
const TOLD = 3;

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
    find("readout-label").textContent =
      inside ? describe(mask.cells, y * mask.width + x, session.isStale ? null : answer) : "";
    const georeference = answer?.summary.georeference;
    // Control points alone do not tell where the pixels between them are.
    find("readout-map").hidden = !georeference?.transform;
    find("readout-map").textContent = georeference?.transform && inside
      ? describePlace(georeference, x, y) : "\u00a0";
  };
  painter.onPoint = show;
  session.addEventListener("picture", show);
  session.addEventListener("answer", show);
  session.addEventListener("layers", show);
}

/**
 * @param {Uint8Array} cells of the mask
 * @param {number} at place of the pixel in them
 * @param {import("./session.js").Answer|null} answer
 */
function describe(cells, at, answer) {
  if (cells[at]) {
    const reasons = REASONS.filter(([bit]) => cells[at] & bit).map(([, name]) => name);
    return `missing (${reasons.join(", ")})`;
  }
  if (!answer) return "valid";
  const { labels, summary: { classes } } = answer;
  const name = classes.find((/** @type {any} */ { id }) => id === labels[at])?.name;
  return `${name ?? `class ${labels[at]}`}${describePlanes(answer, at)}`;
}

/** @param {import("./session.js").Answer} answer @param {number} at */
function describePlanes({ planes, summary: { classes } }, at) {
  if (!planes) return "";
  const tell = (/** @type {string} */ name, /** @type {Uint8Array} */ plane) =>
    `${name} ${readByte(plane[at]).toFixed(2)}`;
  const probable = classes.map((/** @type {any} */ { name }, /** @type {number} */ place) =>
    ({ name, plane: planes.classes[place] }));
  probable.sort((/** @type {any} */ one, /** @type {any} */ other) =>
    other.plane[at] - one.plane[at]);
  const parts = [tell("confidence", planes.confidence), tell("support", planes.support),
    ...probable.slice(0, TOLD).map((/** @type {any} */ { name, plane }) => tell(name, plane))];
  return ` · ${parts.join(" · ")}`;
}
