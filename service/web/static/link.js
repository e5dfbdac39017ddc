/** A link that restores model, sample and view. It is the page's address with a fragment. */

/**
 * @typedef {object} Place
 * @property {string} sample a sample, as `MODEL/NAME`
 * @property {string} model
 * @property {string} version empty for the highest
 * @property {string} layer value of the layer's option
 * @property {{x: number, y: number, scale: number}|null} view what is in the middle of the screen,
 *   and its scale; null for the whole picture
 */

/** @param {Place} place @returns {string} the fragment, without its mark */
export function writePlace({ sample, model, version, layer, view }) {
  const fields = new URLSearchParams({ sample, model, version, layer });
  for (const [name, value] of Object.entries(view ?? {})) {
    fields.set(name, String(Number(value.toFixed(4))));
  }
  return fields.toString();
}

/** @param {string} fragment @returns {Place|null} null if it names no sample */
export function readPlace(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const read = (/** @type {string} */ name) => fields.get(name) ?? "";
  if (!read("sample")) return null;
  const [x, y, scale] = ["x", "y", "scale"].map((name) => parseFloat(read(name)));
  return {
    sample: read("sample"), model: read("model"), version: read("version"), layer: read("layer"),
    view: Number.isFinite(x + y + scale) && scale > 0 ? { x, y, scale } : null,
  };
}
