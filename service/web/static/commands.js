/** The same work as a command to copy: `curl`, or `lacuna segment`. */

/**
 * @typedef {object} Asked
 * @property {string} name of the image's file
 * @property {boolean} masked
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
export function writeCurl({ name, masked, model, version, nodata, stretch, keyed, server }) {
  const file = /[;,"\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
  const parts = [["-F", `image=@${file}`]];
  if (masked) parts.push(["-F", "mask=@mask.png"]);
  if (model) parts.push(["-F", `model=${model}`]);
  if (version) parts.push(["-F", `version=${version}`]);
  if (nodata) parts.push(["-F", `nodata=${nodata}`]);
  if (stretch) parts.push(["-F", "stretch=percentile"]);
  const lines = parts.map(([flag, value]) => `${flag} ${quote(value)}`);
  // A variable instead of the key, because the command may be pasted where others read it.
  if (keyed) lines.push('-H "Authorization: Bearer $LACUNA_KEY"');
  return `curl ${lines.join(" \\\n  ")} \\\n  ${quote(`${server}v1/segment`)}`;
}

/** @param {Asked} asked @returns {string} */
export function writeSegment({ name, masked, model, version, nodata, keyed, server }) {
  // A name that begins with a dash would be taken for an option.
  const file = name.startsWith("-") ? `./${name}` : name;
  const output = `${file.replace(/\.[^./]*$/, "")}-labels.tif`;
  const lines = [quote(file), `-o ${quote(output)}`, `--url ${quote(server)}`];
  if (masked) lines.push("--mask mask.png");
  if (model) lines.push(`--model ${quote(model)}`);
  if (version) lines.push(`--version ${quote(version)}`);
  if (nodata) lines.push(`--nodata ${quote(nodata)}`);
  if (keyed) lines.push('--api-key "$LACUNA_KEY"');
  return `lacuna segment ${lines.join(" \\\n  ")}`;
}

/** @param {string} text for a POSIX shell */
function quote(text) {
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
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1500);
}
