/** Images that are larger than the server takes in one request: windows, or a command for others. */

import { Problem, SERVER, hasKey, listModels } from "./api.js";
import { findChosen } from "./chooser.js";
import { NeedsCommand, writeSegment } from "./commands.js";
import { count, find } from "./dom.js";
import { chooseWindows, nameLimit, refuseChannels } from "./limits.js";
import { countBytes } from "./windows.js";

/**
 * @typedef {object} Way
 * @property {import("./api.js").Model} model
 * @property {import("./windows.js").Window[]} windows
 * @property {number} unit factor of the picture's values
 * @property {string} limit that the picture breaks
 */

const CODES = ["image_too_large", "body_too_large"];
const COMMAND = "This command cuts it into windows, and its labels are those of one request.";

/**
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 * @returns {Promise<Way|null>} null if the picture is sent as it is
 * @throws {Error} if the server would refuse it, and it cannot be cut exactly; a NeedsCommand if the
 *   command line can
 */
export async function planLarge(session, chooser) {
  if (!checkLimits(session, chooser.chosen)) return null;
  // As they are now: another version may be served since the page was opened.
  return checkLimits(session, findChosen(await listModels(), chooser.model, chooser.version));
}

/**
 * @param {import("./session.js").Session} session
 * @param {import("./api.js").Model|undefined} model
 * @returns {Way|null} null if the picture is sent as it is
 * @throws {Error} as `planLarge`
 */
export function checkLimits(session, model) {
  const { picture } = session;
  if (!picture || !model?.limits) return null;
  const refusal = refuseChannels(picture, model);
  if (refusal) throw new Error(refusal);
  const cut = chooseWindows(picture, model);
  if (!cut) return null;
  const limit = nameLimit(picture, model.limits);
  if (!cut.windows.length) {
    throw new Error(`${limit}, and it cannot be cut into exact windows for this model. Make it ` +
      "smaller, or raise the setting.");
  }
  if (session.stretch) {
    throw new Error(`${limit}, and values are stretched over the whole image, not over a window ` +
      "of it.");
  }
  if (picture.byServer || !picture.keepsValues) {
    throw needCommand(session, picture.name,
      `${limit}, and the browser does not keep its values: they have more than 8 bits, or are ` +
      "partly transparent.", session.target);
  }
  return { ...cut, model, limit };
}

/**
 * Tell how a picture will be sent, or why it cannot be, as soon as it is there.
 *
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 * @param {(error: Error) => void} showError
 */
export function setUpLimits(session, chooser, showError) {
  const show = (/** @type {boolean} */ isNew) => {
    find("limits-note").textContent = "";
    try {
      const way = checkLimits(session, chooser.chosen);
      if (way) find("limits-note").textContent = describe(way);
    } catch (error) {
      if (isNew) showError(error);
      find("limits-note").textContent = error.message;
    }
  };
  session.addEventListener("picture", () => show(true));
  session.addEventListener("values", () => show(false));
}

/** @param {Way} way */
function describe({ limit, windows }) {
  return `${limit}, so it is sent in ${count(windows.length)} windows. The labels are those of one ` +
    "request.";
}

/**
 * Check a file that only the server can read, before it is sent.
 *
 * @param {Blob} blob
 * @param {string} name
 * @param {import("./session.js").Session} session
 * @throws {NeedsCommand} if it has more bytes than the server takes
 */
export function checkUpload(blob, name, session) {
  const most = session.limits?.body_bytes ?? Infinity;
  const bytes = countBytes({ width: 0, height: 0, blob });
  if (bytes <= most) return;
  throw needCommand(session, name,
    `The file ${name} is larger than the server takes at once, and the browser cannot read it: it ` +
    `has ${count(bytes)} bytes to send, and the server takes ${count(most)} ` +
    "(LACUNA_LIMITS__BODY_BYTES).", session.target);
}

/**
 * @param {Error} error from opening a file
 * @param {string} name of the file
 * @param {import("./session.js").Session} session
 * @returns {Error} the same, or one with a command if the file is too large for the server
 */
export function explainTooLarge(error, name, session) {
  if (!(error instanceof Problem) || !CODES.includes(error.code)) return error;
  return needCommand(session, name,
    `The file ${name} is larger than the server takes at once, and the browser cannot read it: ` +
    `${error.message}.`, session.target);
}

/**
 * @param {import("./session.js").Session} session
 * @param {string} name
 * @param {string} reason
 * @param {{model: string, version: string}} target
 */
function needCommand({ nodata, stretch, picture, maskName }, name, reason, target) {
  const { model, version } = target;
  return new NeedsCommand(`${reason} ${COMMAND}`, writeSegment({
    name, nodata, stretch, model, version, keyed: hasKey(), server: SERVER.href, sampleOf: "",
    mask: picture?.name === name ? maskName : "",
  }));
}
