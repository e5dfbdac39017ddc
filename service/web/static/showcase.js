/** The first screen: a sample and its labels, with a divider between them. */

import { getFile } from "./api.js";
import { background } from "./background.js";
import { find, make } from "./dom.js";
import { Mask } from "./mask.js";
import { MISSING } from "./summary.js";
import { makePalette, readColor } from "./tiles.js";
import { View } from "./view.js";

/** Show the sample, as it was answered when the page was made: no server computes it. */
export async function showSample() {
  const answer = await getFile("static/showcase.json");
  const { labels, summary: { classes, model } } = await background.readAnswer(answer);
  // The model's own sample is what it has answered.
  const bitmap = await createImageBitmap(await getFile(`samples/${model.name}/clouds.png`));
  find("showcase").hidden = false;
  const view = new View(find("showcase-picture"));
  view.margin = 0;
  view.opacity = 0.85;
  view.show({ width: bitmap.width, height: bitmap.height, bitmap, small: null },
    findMissing(labels, bitmap));
  view.showLabels(labels, makePalette((label) => {
    const entry = classes.find((/** @type {any} */ { id }) => id === label);
    return entry ? readColor(entry.color) : null;
  }));
  view.splitScreen({ cells: null });
  find("showcase-split").addEventListener("input", () =>
    view.moveSplit(find("showcase-split").value / 100));
  find("showcase-classes").replaceChildren(...classes.map(makeSwatch), makeSwatch(
    { name: "missing", color: "" }));
}

/** @param {Uint8Array} labels @param {{width: number, height: number}} size */
function findMissing(labels, { width, height }) {
  const mask = new Mask(width, height);
  mask.cells.set(labels.map((label) => Number(label === MISSING)));
  return mask;
}

/** @param {{name: string, color: string}} entry without a colour for missing pixels */
function makeSwatch({ name, color }) {
  const swatch = make("i", { className: color ? "swatch" : "swatch hatched" });
  if (color) swatch.style.background = color;
  return make("li", {}, swatch, name);
}
