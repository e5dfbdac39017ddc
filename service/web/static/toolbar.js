/** The toolbar above the picture: tools, undo, redo and zoom; and the line below the picture. */

import { find, count } from "./dom.js";
import { isTyping } from "./shortcuts.js";

/**
 * @param {import("./session.js").Session} session
 * @param {import("./view.js").View} view
 * @param {import("./paint.js").Painter} painter
 */
export function setUpToolbar(session, view, painter) {
  for (const input of document.querySelectorAll("input[name=tool]")) {
    input.addEventListener("change", () =>
      painter.choose(/** @type {any} */ (input).value));
  }
  for (const input of document.querySelectorAll("input[name=marks]")) {
    input.addEventListener("change", () => {
      painter.marks = /** @type {any} */ (input).value === "mark";
    });
  }
  setUpRadius(view, painter);
  setUpHistory(session);
  setUpZoom(view);
  find("close-shape").addEventListener("click", () => painter.finish());
  let revision = 0;
  painter.onChange = () => {
    find("painting").hidden = painter.name === "hand" || !session.mask;
    find("radius-row").hidden = painter.name !== "brush";
    find("close-shape").hidden = painter.tools.polygon.corners.length < 3;
    const { mask } = session;
    // Between strokes, a new revision of the mask means that the painter changed it.
    if (mask && !mask.step && mask.revision !== revision) session.noteChange();
  };
  session.addEventListener("mask", () => {
    revision = session.mask?.revision ?? 0;
    find("undo").disabled = !session.mask?.past.length;
    find("redo").disabled = !session.mask?.future.length;
  });
  session.addEventListener("picture", () => {
    find("toolbar").hidden = false;
    const { picture } = session;
    find("readout-size").textContent = picture
      ? `${count(picture.width)} × ${count(picture.height)}` : "";
  });
}

/** @param {import("./view.js").View} view @param {import("./paint.js").Painter} painter */
function setUpRadius(view, painter) {
  const slider = find("radius");
  slider.addEventListener("input", () => {
    painter.radius = Number(slider.value);
    find("radius-out").textContent = `${slider.value * 2} px`;
    view.request();
  });
}

/** @param {import("./session.js").Session} session */
function setUpHistory(session) {
  const undo = () => session.mask && session.changeMask(() => session.mask?.undo());
  const redo = () => session.mask && session.changeMask(() => session.mask?.redo());
  find("undo").addEventListener("click", undo);
  find("redo").addEventListener("click", redo);
  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target) || !(event.ctrlKey || event.metaKey) || session.mask?.step) return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) undo();
    else if (key === "y" || key === "z") redo();
    else return;
    event.preventDefault();
  });
}

/** @param {import("./view.js").View} view */
function setUpZoom(view) {
  find("zoom-in").addEventListener("click", () => view.zoom(1.25));
  find("zoom-out").addEventListener("click", () => view.zoom(0.8));
  find("zoom-fit").addEventListener("click", () => view.fit());
  find("zoom-actual").addEventListener("click", () => view.showActual());
  view.onMove = () => {
    const part = view.scale * 100;
    find("zoom").textContent = `${part.toFixed(part < 10 ? 1 : 0)} %`;
  };
}
