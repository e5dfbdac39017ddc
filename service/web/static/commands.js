/** The same work as a command of `lacuna segment`, and copying of texts. */

/**
 * @typedef {object} Asked
 * @property {string} name of the image's file
 * @property {string} mask name of the mask's file; empty for none
 * @property {string} sampleOf model among whose samples the server has both files; empty for none
 * @property {string} model
 * @property {string} version
 * @property {string} nodata
 * @property {boolean} stretch
 * @property {boolean} keyed true if the server has been given a key
 * @property {string} server its URL
 */

/** Work that the page cannot do, and a command that can. */
export class NeedsCommand extends Error {
  /** @param {string} message @param {string} command */
  constructor(message, command) {
    super(message);
    this.command = command;
  }
}

/** @param {Asked} asked @returns {string} */
export function writeSegment({ name, mask, model, version, nodata, keyed, server }) {
  // A name that begins with a dash would be taken for an option.
  const file = name.startsWith("-") ? `./${name}` : name;
  const output = `${file.replace(/\.[^./]*$/, "")}-labels.tif`;
  const lines = [quote(file), `-o ${quote(output)}`, `--url ${quote(server)}`];
  if (mask) lines.push(`--mask ${quote(mask)}`);
  if (model) lines.push(`--model ${quote(model)}`);
  if (version) lines.push(`--version ${quote(version)}`);
  if (nodata) lines.push(`--nodata ${quote(nodata)}`);
  if (keyed) lines.push('--api-key "$LACUNA_KEY"');
  return `lacuna segment ${lines.join(" \\\n  ")}`;
}

/** @param {string} text for a POSIX shell */
export function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * @param {Element} source element whose text is copied
 * @param {HTMLElement} button tells that it was done
 */
export async function copy(source, button) {
  try {
    await navigator.clipboard.writeText(source.textContent ?? "");
  } catch {
    // Without https or the user's permission, there is only this older interface.
    getSelection()?.selectAllChildren(source);
    document.execCommand("copy");
  }
  button.dataset.label ??= button.textContent ?? "";
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = button.dataset.label ?? "";
  }, 1500);
}
