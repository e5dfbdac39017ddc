/** The panel for missing pixels: mask file, no-data value, threshold and rectangle. */

import { count, find, percent } from "./dom.js";
import { readNumber } from "./session.js";
import { fillRectangle } from "./shapes.js";

/**
 * @param {import("./session.js").Session} session
 * @param {(work: () => Promise<void>) => void} edit runs work that changes the mask, and shows its error
 */
export function setUpMissing(session, edit) {
  const change = (/** @type {{kept: boolean, inverted: boolean}} */ how) => {
    const { mask } = session;
    if (mask) session.changeMask(() => mask.change(how));
  };
  find("invert").addEventListener("click", () => change({ kept: true, inverted: true }));
  find("clear").addEventListener("click", () => change({ kept: false, inverted: false }));
  find("nodata").addEventListener("change", () => {
    const text = find("nodata").value.trim().replace("−", "-");
    const wrong = text !== "" && Number.isNaN(readNumber(text)) && !/^([+-]?nan|none)$/i.test(text);
    find("nodata").setAttribute("aria-invalid", String(wrong));
    find("nodata-note").textContent = wrong ? "a number, nan or none" : "0, −9999, nan …";
    if (!wrong) edit(() => session.setNodata(text));
  });
  const markBelow = () => {
    const value = readNumber(find("below").value);
    find("below").setAttribute("aria-invalid", String(Number.isNaN(value)));
    if (Number.isNaN(value)) find("below").focus();
    else edit(() => session.markBelow(value));
  };
  find("mark-below").addEventListener("click", markBelow);
  find("below").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter") markBelow();
  });
  find("mark-rectangle").addEventListener("click", () => fillNumbers(session, true));
  find("restore-rectangle").addEventListener("click", () => fillNumbers(session, false));
  session.addEventListener("picture", () => {
    find("missing-controls").disabled = false;
    find("below").disabled = find("mark-below").disabled = !session.picture?.hasNumbers;
  });
  let byFile = 0;
  session.addEventListener("picture", () => {
    byFile = session.mask?.missing ?? 0; // a new picture has no marks yet
    find("file-note").textContent = describeFile(session, byFile);
  });
  session.addEventListener("drawn", () => {
    find("file-note").textContent = describeFile(session, byFile);
  });
  session.addEventListener("mask", () => showCount(session));
}

/** @param {import("./session.js").Session} session @param {boolean} marked */
function fillNumbers(session, marked) {
  const { mask } = session;
  const fields = [...document.querySelectorAll("#rectangle input")];
  const [x, y, width, height] = fields.map((field) => Number(/** @type {any} */ (field).value));
  if (!mask || !(width >= 1 && height >= 1)) return;
  session.changeMask(() => {
    mask.begin();
    fillRectangle({ x, y }, { x: x + width - 1, y: y + height - 1 },
      (row, from, to) => mask.fillSpan(row, from, to, marked));
    mask.end();
  });
}

/** @param {import("./session.js").Session} session @param {number} missing pixels, by the file */
function describeFile({ picture }, missing) {
  const notes = [];
  if (missing) notes.push(`Missing in the file (transparent or no data): ${count(missing)} px.`);
  if (!picture?.hasNumbers) {
    notes.push("This is a preview by the server, of 8 bits and at most three bands. The file " +
      "itself is sent.");
  }
  if (!picture?.inRange) {
    notes.push("The range of the model's values is not known, so this picture may be brighter or " +
      "darker than what the model receives.");
  }
  return notes.join(" ");
}

/** @param {import("./session.js").Session} session */
function showCount({ mask }) {
  if (!mask) return;
  const { missing, cells } = mask;
  find("missing").textContent = `${count(missing)} px · ${percent(missing / cells.length)}`;
}
