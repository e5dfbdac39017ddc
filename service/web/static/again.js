/**
 * The image of an answer, segmented again: with planes, by another model, or without its mask. If the
 * answer was put together from windows, so is this one.
 */

import { request, segment } from "./api.js";
import { background } from "./background.js";
import { cutPicture, refuseChannels } from "./limits.js";
import { BY_FILE } from "./mask.js";
import { PLANES } from "./planes.js";
import { describeWait, describeWindows } from "./progress.js";
import { computePlanes, segmentInWindows } from "./stitch.js";
import { MISSING } from "./summary.js";
import { askWatched } from "./watch.js";

/**
 * @typedef {{name: string, version: string}} Target
 *
 * @typedef {object} Events
 * @property {AbortSignal} signal
 * @property {(text: string) => void} onProgress is told how many windows are done, if there are any
 */

/**
 * @param {import("./session.js").Session} session
 * @param {import("./session.js").Answer} answer
 * @param {import("./api.js").Model[]} models
 * @param {Events} events
 * @returns {Promise<import("./planes.js").Planes>} planes from the version that gave the labels
 */
export async function askForPlanes({ picture }, { question, summary, labels }, models, events) {
  const { name, version } = summary.model;
  if (question) {
    const { content } = await askWatched((options) => request(
      { ...question, model: name, version, also: PLANES }, "application/zip", options), tell(events));
    return background.readPlanes(content);
  }
  const model = findServed(models, summary.model);
  const cells = await background.mark(labels, MISSING);
  return computePlanes(planAgain(picture, model, cells), summary.classes.length, tell(events));
}

/**
 * @param {import("./session.js").Session} session
 * @param {import("./session.js").Answer} answer
 * @param {import("./api.js").Model[]} models
 * @param {{target: Target, unmasked: boolean}} other model, and whether mask and no-data value are
 *   left out
 * @param {Events} events
 * @returns {Promise<{labels: Uint8Array, classes: import("./api.js").Class[]}>}
 */
export async function askForOther({ picture, mask }, { question, labels }, models,
  { target, unmasked }, events) {
  if (question) {
    const { content } = await askWatched((options) => segment({ ...question, model: target.name,
      version: target.version, ...unmasked && { mask: null, nodata: "none" } }, options), tell(events));
    const { labels: others, summary } = await background.readAnswer(content);
    return { labels: others, classes: summary.classes };
  }
  const model = findServed(models, target);
  const cells = await (unmasked ? background.keepBits(mask?.cells, BY_FILE)
    : background.mark(labels, MISSING));
  const whole = await segmentInWindows(planAgain(picture, model, cells), tell(events));
  return { labels: whole.labels, classes: model.classes ?? [] };
}

/** @param {import("./api.js").Model[]} models @param {Target} target */
function findServed(models, { name, version }) {
  const model = models.find((entry) => entry.name === name && entry.version === version);
  if (!model) throw new Error(`The server does not serve ${name} ${version} any more.`);
  return model;
}

/**
 * @param {import("./session.js").Picture|null} picture
 * @param {import("./api.js").Model} model
 * @param {Uint8Array} cells H × W, 0 = valid; they leave nothing to a no-data value
 * @returns {import("./stitch.js").Job}
 * @throws {Error} if the picture cannot be cut for the model
 */
function planAgain(picture, model, cells) {
  if (!picture) throw new Error("There is no image yet.");
  const { name, version } = model;
  const refusal = refuseChannels(picture, model);
  if (refusal) throw new Error(refusal);
  const { windows, unit } = cutPicture(picture, model);
  if (!windows.length) {
    throw new Error("The image is larger than the server takes at once, and it cannot be cut into " +
      `exact windows for ${name} ${version}.`);
  }
  const { source, width, height } = picture;
  return { windows, unit, source, width, height, cells,
    question: { model: name, version, nodata: "none" } };
}

/**
 * @param {Events} events
 * @returns {{signal: AbortSignal, onWindows: import("./watch.js").OnWindows,
 *   onWait: import("./stitch.js").Events["onWait"]}} events that tell the same in words
 */
function tell({ signal, onProgress }) {
  return {
    signal,
    onWindows: (...counts) => onProgress(describeWindows(...counts)),
    onWait: (...wait) => onProgress(describeWait(...wait)),
  };
}
