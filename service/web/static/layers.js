/** The layer over the picture: labels, confidence, support, or the probability of a class. */

import { request } from "./api.js";
import { background } from "./background.js";
import { find, make } from "./dom.js";
import { makePalette, readColor } from "./tiles.js";

const LABELS = "labels";
/** From 0 to 1; result.css draws the scale in the same colours. */
const RAMP = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"].map(readColor);
const SHADES = makePalette((byte) => (byte ? shade((byte - 1) / 254) : null));

/** @type {Map<string, string>} */
const NOTES = new Map([
  ["confidence", "Probability of the label, which is the most probable class."],
  ["support", "How much of what a label can rest on is valid: its whole surroundings at 1."],
]);

/**
 * @param {import("./session.js").Session} session
 * @param {import("./view.js").View} view
 * @param {{legend: {palette: () => Uint32Array, onChange: () => void},
 *   attempt: (work: () => Promise<void>) => void}} parts
 */
export function setUpLayers(session, view, { legend, attempt }) {
  const choice = find("layer");
  const show = () => {
    const { answer } = session;
    if (!answer) return;
    const cells = findCells(answer, choice.value);
    view.showLabels(cells ?? answer.labels, cells ? SHADES : legend.palette());
    find("scale").hidden = !cells;
    find("layer-note").textContent = describe(choice);
  };
  legend.onChange = () => {
    if (choice.value === LABELS) view.recolor(legend.palette());
  };
  session.addEventListener("answer", () => {
    choice.replaceChildren(...listLayers(session.answer));
    choice.disabled = !session.answer?.question;
    show();
  });
  choice.addEventListener("change", () => attempt(async () => {
    const { answer } = session;
    try {
      if (answer && choice.value !== LABELS) await loadPlanes(session, answer);
    } catch (error) {
      choice.value = LABELS;
      throw error;
    } finally {
      if (answer === session.answer) show();
    }
  }));
}

/**
 * Request the planes of an answer once, from the version that gave its labels.
 *
 * @param {import("./session.js").Session} session
 * @param {import("./session.js").Answer} answer
 */
async function loadPlanes(session, answer) {
  if (answer.planes || !answer.question) return;
  const { name, version } = answer.summary.model;
  find("layer-note").textContent = "The server computes probabilities…";
  const { content } = await request(
    { ...answer.question, model: name, version, also: "probabilities,support" },
    "application/zip");
  answer.planes = await background.readPlanes(content);
  session.noteLayers();
}

/** @param {import("./session.js").Answer|null} answer */
function listLayers(answer) {
  const classes = (answer?.summary.classes ?? []).map((/** @type {any} */ { id, name }) =>
    make("option", { value: `class-${id}`, textContent: name }));
  return [
    make("option", { value: LABELS, textContent: "Labels" }),
    make("option", { value: "confidence", textContent: "Confidence" }),
    make("option", { value: "support", textContent: "Support" }),
    make("optgroup", { label: "Probability of a class" }, ...classes),
  ];
}

/** @param {import("./session.js").Answer} answer @param {string} layer */
function findCells({ planes, summary }, layer) {
  if (!planes || layer === LABELS) return null;
  if (layer === "confidence" || layer === "support") return planes[layer];
  const id = Number(layer.slice("class-".length));
  return planes.classes[summary.classes.findIndex((/** @type {any} */ entry) => entry.id === id)];
}

/** @param {HTMLSelectElement} choice */
function describe({ value, disabled, selectedOptions: [option] }) {
  if (disabled) return "Only labels are put together from windows.";
  if (value === LABELS) return "";
  return `${NOTES.get(value) ?? `Probability of ${option.textContent}.`} ` +
    "Pointing at a pixel tells all of them.";
}

/** @param {number} value from 0 to 1 */
function shade(value) {
  const place = value * (RAMP.length - 1);
  const first = Math.min(RAMP.length - 2, Math.floor(place));
  return RAMP[first].map((from, at) => from + (RAMP[first + 1][at] - from) * (place - first));
}
