/** Images that are larger than the server takes in one request: windows, or a command for others. */

import { Problem, SERVER, hasKey, listModels } from "./api.js";
import { findChosen } from "./chooser.js";
import { NeedsCommand, writeSegment } from "./commands.js";
import { isTooLarge, planWindows } from "./windows.js";

const CODES = ["image_too_large", "body_too_large"];
const COMMAND = "This command cuts it into windows, and its labels are those of one request.";

/**
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 * @returns {Promise<{model: import("./api.js").Model, windows: import("./windows.js").Window[],
 *   unit: number}|null>} null if the picture is sent as it is: it is small enough, or the server's
 *   own message says best why it is not
 * @throws {Error} if it cannot be cut exactly; a NeedsCommand if the command line can
 */
export async function planLarge(session, chooser) {
  const { picture } = session;
  if (!picture || !isTooLarge(picture, chooser.chosen?.limits)) return null;
  // As they are now: another version may be served since the page was opened.
  const model = findChosen(await listModels(), chooser.model, chooser.version);
  if (!model || !isTooLarge(picture, model.limits)) return null;
  // The server scales intensities to the depth of the model, but takes arrays as they are.
  const unit = !picture.isArray && model.image?.dtype === "uint16" ? 257 : 1;
  const windows = planWindows(
    { ...picture, sampleBytes: unit === 1 ? picture.sampleBytes : 2 }, model);
  if (!windows.length) return null;
  if (session.stretch) {
    throw new Error(`The file ${picture.name} is larger than the server takes at once, and values ` +
      "are stretched over the whole image, not over a window of it.");
  }
  if (picture.byServer || !picture.keepsValues) {
    throw needCommand(session, picture.name,
      `The file ${picture.name} is larger than the server takes at once, and the browser does not ` +
      "keep its values: they have more than 8 bits, or are partly transparent.",
      { model: chooser.model, version: chooser.version });
  }
  return { model, windows, unit };
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
function needCommand({ nodata, stretch, picture, mask }, name, reason, target) {
  return new NeedsCommand(`${reason} ${COMMAND}`, writeSegment({
    name, nodata, stretch, ...target, keyed: hasKey(), server: SERVER.href,
    masked: picture?.name === name && (mask?.marked ?? 0) > 0,
  }));
}
