/** The first screen: a sample and its labels, with a divider between them. */

import { getFile } from "./api.js";
import { background } from "./background.js";
import { find, make } from "./dom.js";
import { Mask } from "./mask.js";
import { MISSING } from "./summary.js";
import { makePalette, readColor } from "./tiles.js";
import { View } from "./view.js";

/** The sample whose answer by the demo is in `showcase.json`. */
const SAMPLE = "samples/clouds.png";

/** Show the sample, as it was answered when the page was made: no server computes it. */
export async function showSample() {
  const [image, answer] = await Promise.all([getFile(SAMPLE), getFile("static/showcase.json")]);
  const bitmap = await createImageBitmap(image);
  const { labels, summary: { classes } } = await background.readAnswer(answer);
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
