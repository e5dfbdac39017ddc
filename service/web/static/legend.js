/** The classes of an answer: their colours, areas and check boxes. */

import { count, find, make, percent } from "./dom.js";
import { writeHectares } from "./georeference.js";
import { makePalette, readColor } from "./tiles.js";

/**
 * @param {import("./session.js").Session} session
 * @param {import("./view.js").View} view
 */
export function setUpLegend(session, view) {
  /** @type {any[]} */
  let classes = [];
  /** @type {Set<number>} */
  const hidden = new Set();
  const slider = find("opacity");
  slider.addEventListener("input", () => {
    find("opacity-out").textContent = `${slider.value} %`;
    view.setOpacity(slider.value / 100);
  });
  const legend = {
    /** Colours of the labels whose classes are not switched off. */
    palette: () => makePalette((label) => {
      const entry = classes.find(({ id }) => id === label);
      return entry && !hidden.has(label) ? readColor(entry.color) : null;
    }),
    /** Called when a class is switched on or off. */
    onChange: () => {},
  };
  session.addEventListener("answer", () => {
    const { answer } = session;
    if (!answer) return;
    classes = answer.summary.classes;
    const areas = classes.map(({ area_m2: area }) => area);
    const hectares = areas.every(Number.isFinite) ? writeHectares(areas) : [];
    find("hectares-head").hidden = !hectares.length;
    const rows = classes.map((entry, at) =>
      makeRow(entry, hectares[at], hidden, () => legend.onChange()));
    document.querySelector("#legend tbody")?.replaceChildren(...rows);
  });
  return legend;
}

/**
 * @param {{id: number, name: string, color: string, pixels: number, fraction: number}} entry
 * @param {string|undefined} hectares undefined if the area is not known
 * @param {Set<number>} hidden
 * @param {() => void} repaint
 */
function makeRow({ id, name, color, pixels, fraction }, hectares, hidden, repaint) {
  const box = make("input", { type: "checkbox", checked: !hidden.has(id) });
  box.addEventListener("change", () => {
    if (box.checked) hidden.delete(id);
    else hidden.add(id);
    repaint();
  });
  const swatch = make("i", { className: "swatch" });
  swatch.style.background = color;
  const bar = make("i", { className: "share" });
  bar.style.width = `${fraction * 100}%`;
  bar.style.background = color;
  return make("tr", {},
    make("th", { scope: "row" }, make("label", {}, box, swatch, make("span", { textContent: name }))),
    make("td", { textContent: count(pixels) }),
    ...(hectares === undefined ? [] : [make("td", { textContent: hectares })]),
    make("td", {}, make("span", { textContent: percent(fraction) }), bar));
}
