/**
 * Range of a model's values in which pictures are drawn, so that what the model is given as dark
 * looks dark.
 *
 * @typedef {object} Range
 * @property {string} dtype depth whose raw values the model takes
 * @property {number[]} lows values that become black: one, or one for each channel
 * @property {number[]} highs values that become white, as many
 */

/**
 * @param {import("./api.js").Model["image"]} image
 * @returns {Range|null} null if it is not known
 */
export function findRange(image) {
  if (!image) return null;
  const { dtype, statistics } = image;
  if (dtype === "uint8") return { dtype, lows: [0], highs: [255] };
  if (statistics) {
    return { dtype, lows: statistics.map(({ low }) => low),
      highs: statistics.map(({ high }) => high) };
  }
  return dtype === "uint16" ? { dtype, lows: [0], highs: [65535] } : null;
}
