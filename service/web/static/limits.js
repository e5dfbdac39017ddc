/**
 * What the server will take of a picture, known before it is sent: as it is, in windows, or not at
 * all. It only decides.
 */

import { count } from "./dom.js";
import { countPixels, countBytes, isTooLarge, planWindows } from "./windows.js";

/** @typedef {import("./session.js").Picture} Picture */
/** @typedef {import("./api.js").Model} Model */

/**
 * @param {Pick<Picture, "byServer"|"channels"|"name">} picture
 * @param {Model|undefined} model
 * @returns {string} why the model does not take the picture's channels; empty if it does, or if only
 *   the server knows
 */
export function refuseChannels({ byServer, channels, name }, model) {
  const wanted = model?.image?.channels;
  if (byServer || !wanted || wanted === channels) return "";
  // A grey picture is repeated, and three channels may be equal.
  if (channels + wanted === 4 && Math.min(channels, wanted) === 1) return "";
  const advice = channels > wanted ? "Choose bands on the command line, as with --bands"
    : "Choose a file of more bands, or another model";
  return `Model ${model.name} takes ${wanted} channels; ${name} has ${channels}. ${advice}.`;
}

/**
 * @param {Picture} picture
 * @param {NonNullable<Model["limits"]>} limits
 * @returns {string} the limit that a picture breaks, and its setting
 */
export function nameLimit(picture, limits) {
  const { image_pixels: most, body_bytes: bytes = Infinity } = limits;
  const pixels = countPixels(picture);
  return pixels > most
    ? `The file ${picture.name} has ${count(pixels)} pixels; the server takes at most ${count(most)} pixels ` +
      "at once (LACUNA_LIMITS__IMAGE_PIXELS)"
    : `The file ${picture.name} has ${count(countBytes(picture))} bytes to send; the server takes at most ` +
      `${count(bytes)} at once (LACUNA_LIMITS__BODY_BYTES)`;
}

/**
 * @typedef {object} Cut
 * @property {import("./windows.js").Window[]} windows none if the picture cannot be cut
 * @property {number} unit factor of the picture's values
 *
 * @param {Picture} picture
 * @param {Model|undefined} model
 * @returns {Cut|null} null if the picture is sent as it is
 */
export function chooseWindows(picture, model) {
  if (!model?.limits || !isTooLarge(picture, model.limits)) return null;
  return cutPicture(picture, model);
}

/** @param {Picture} picture @param {Model} model @returns {Cut} */
export function cutPicture(picture, model) {
  // The server scales intensities to the depth of the model, but takes arrays as they are.
  const unit = !picture.isArray && model.image?.dtype === "uint16" ? 257 : 1;
  const sampleBytes = unit === 1 ? picture.sampleBytes : 2;
  return { windows: planWindows({ ...picture, sampleBytes }, model), unit };
}
