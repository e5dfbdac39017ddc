/** The layer over the picture: labels, confidence, support, or the probability of a class. */

import { askForPlanes } from "./again.js";
import { find, make } from "./dom.js";
import { makePalette, readColor } from "./tiles.js";

const LABELS = "labels";
const COMPUTING = "The server computes probabilities…";
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
 *   chooser: import("./chooser.js").Chooser,
 *   attempt: (work: () => Promise<void>) => void}} parts
 */
export function setUpLayers(session, view, { legend, chooser, attempt }) {
  const choice = find("layer");
  /** @type {Loading|null} */
  let loading = null;
  const stop = () => {
    loading?.controller.abort();
    loading = null;
  };
  /** @param {import("./session.js").Answer} answer */
  const load = async (answer) => {
    if (answer.planes) return;
    loading ??= loadPlanes(session, answer, chooser.models);
    const mine = loading;
    try {
      await mine.done;
    } finally {
      if (loading === mine) loading = null;
    }
  };
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
  session.addEventListener("picture", stop);
  session.addEventListener("answer", () => {
    stop();
    choice.replaceChildren(...listLayers(session.answer));
    show();
  });
  choice.addEventListener("change", () => attempt(async () => {
    const { answer } = session;
    try {
      if (choice.value === LABELS) stop();
      else if (answer) await load(answer);
    } catch (error) {
      if (error.name === "AbortError") return; // something else is shown by now
      choice.value = LABELS;
      throw error;
    } finally {
      if (answer === session.answer) show();
    }
  }));
}

/**
 * @typedef {{controller: AbortController, done: Promise<void>}} Loading
 *
 * @param {import("./session.js").Session} session
 * @param {import("./session.js").Answer} answer
 * @param {import("./api.js").Model[]} models
 * @returns {Loading} request for the planes of the answer, and what ends it
 */
function loadPlanes(session, answer, models) {
  const note = find("layer-note");
  const controller = new AbortController();
  const { signal } = controller;
  note.textContent = COMPUTING;
  const done = askForPlanes(session, answer, models, { signal,
    onProgress: (text) => { note.textContent = `${COMPUTING} ${text}`; } }).then((planes) => {
    signal.throwIfAborted();
    answer.planes = planes;
    session.noteLayers();
  });
  return { controller, done };
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
function describe({ value, selectedOptions: [option] }) {
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
