/**
 * The result beside another one, with a divider between them: of another model or version, or of
 * the same image without its mask; or beside the image alone.
 */

import { askForOther } from "./again.js";
import { background } from "./background.js";
import { count, find, make, percent } from "./dom.js";
import { makePalette, readColor } from "./tiles.js";

const IMAGE = "image";
const UNMASKED = "unmasked";
const COMPUTING = "The server computes the other result…";
/** In place of a class that the result does not have. */
const NO_CLASS = 254;

/**
 * @param {import("./session.js").Session} session
 * @param {import("./view.js").View} view
 * @param {{chooser: import("./chooser.js").Chooser,
 *   attempt: (work: () => Promise<void>) => void}} parts
 */
export function setUpCompare(session, view, { chooser, attempt }) {
  const choice = find("compare");
  const slider = find("swipe-split");
  let asking = new AbortController();
  const close = () => {
    asking.abort();
    choice.value = "";
    view.splitScreen(null);
    find("swipe").hidden = true;
    find("compare-note").textContent = "";
  };
  slider.addEventListener("input", () => view.moveSplit(slider.value / 100));
  session.addEventListener("picture", close);
  session.addEventListener("answer", () => {
    choice.replaceChildren(...listOthers(session, chooser.models));
    close();
  });
  choice.addEventListener("change", () => attempt(async () => {
    const { answer } = session;
    const { value, selectedOptions: [option] } = choice;
    close();
    choice.value = value;
    if (!answer || !value) return;
    const { signal } = asking = new AbortController();
    try {
      const left = value === IMAGE ? { cells: null, note: "" }
        : await ask(session, answer, value, chooser.models, signal);
      if (answer !== session.answer || choice.value !== value) return;
      find("compare-note").textContent = left.note;
      view.splitScreen(left);
      view.moveSplit(slider.value / 100);
      find("swipe-left").textContent = option.textContent;
      find("swipe").hidden = false;
    } catch (error) {
      if (error.name === "AbortError") return; // something else is shown by now
      if (answer === session.answer) close();
      throw error;
    }
  }));
}

/**
 * @param {import("./session.js").Session} session
 * @param {import("./api.js").Model[]} models
 */
function listOthers({ answer, mask }, models) {
  const options = [["", "nothing"], [IMAGE, "the image"]];
  if (answer) {
    if (mask?.missing) options.push([UNMASKED, "without mask"]);
    const { name, version } = answer.summary.model;
    const others = models.filter((model) => model.state === "ready" &&
      (model.name !== name || model.version !== version));
    options.push(...others.map((model) =>
      [JSON.stringify({ name: model.name, version: model.version }),
        `${model.name} ${model.version}`]));
  }
  return options.map(([value, textContent]) => make("option", { value, textContent }));
}

/**
 * Request the other result, and tell in how many labels it differs.
 *
 * @param {import("./session.js").Session} session
 * @param {import("./session.js").Answer} answer
 * @param {string} which
 * @param {import("./api.js").Model[]} models
 * @param {AbortSignal} signal
 */
async function ask(session, answer, which, models, signal) {
  const { summary: { model, classes }, labels } = answer;
  const unmasked = which === UNMASKED;
  const target = unmasked ? model : JSON.parse(which);
  const note = find("compare-note");
  note.textContent = COMPUTING;
  const other = await askForOther(session, answer, models, { target, unmasked },
    { signal, onProgress: (text) => { note.textContent = `${COMPUTING} ${text}`; } });
  const all = other.classes;
  const { both, changed } =
    await background.countDifferences(labels, other.labels, matchClasses(classes, all));
  signal.throwIfAborted();
  return {
    cells: other.labels, hatched: !unmasked,
    note: `${count(changed)} of ${count(both)} labels differ ` +
      `(${percent(changed / Math.max(1, both))}).`,
    palette: makePalette((label) => {
      const entry = all.find(({ id }) => id === label);
      return entry ? readColor(entry.color) : null;
    }),
  };
}

/**
 * Match classes by their names, because models may number them differently.
 *
 * @param {{id: number, name: string}[]} mine
 * @param {{id: number, name: string}[]} theirs
 * @returns {Uint8Array} ids of mine by ids of theirs
 */
function matchClasses(mine, theirs) {
  const ids = new Uint8Array(256).fill(NO_CLASS);
  for (const { id, name } of theirs) {
    ids[id] = mine.find((entry) => entry.name === name)?.id ?? NO_CLASS;
  }
  return ids;
}
