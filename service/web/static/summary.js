/** Summary of labels that were put together, in the form of the server's JSON answer. */

/** Label of missing pixels. */
export const MISSING = 255;

/**
 * @param {import("./api.js").Model} model
 * @param {{width: number, height: number}} size
 * @param {import("./stitch.js").Whole} whole
 */
export function summarize({ name, version, classes = [] }, { width, height }, whole) {
  const { counts, sent, warnings } = whole;
  const pixels = counts.reduce((sum, number, label) => sum + (label === MISSING ? 0 : number), 0);
  return {
    model: { name, version },
    size: { height, width },
    valid: { pixels, fraction: pixels / (width * height) },
    classes: classes.map((entry) => ({
      ...entry, pixels: counts[entry.id], fraction: counts[entry.id] / Math.max(1, pixels),
    })),
    warnings: describeWarnings(warnings, sent),
  };
}

/**
 * Part of an image may be unusual, such as a lake; wrong units are so in most windows.
 *
 * @param {string[]} warnings
 * @param {number} sent windows
 */
function describeWarnings(warnings, sent) {
  if (!warnings.length || warnings.length < sent / 2) return [];
  return [{ code: "unlike_training",
    message: `in ${warnings.length} of ${sent} windows, as in this one: ${warnings[0]}` }];
}
