/** Values that the model is given: the warning that they are unusual, and their stretch. */

import { find, toSentence } from "./dom.js";

const STRETCHED = "The model is given stretched values, and the picture shows them: in each " +
  "channel, the 2nd and 98th percentile of the valid pixels become those of the training images.";
const UNKNOWN = "This model does not tell the values of its training images.";

/**
 * @param {import("./session.js").Session} session
 * @param {import("./run.js").Runner} runner
 * @param {(work: () => Promise<void>) => void} attempt runs work, and shows its error
 */
export function setUpValues(session, runner, attempt) {
  const showStretch = () => {
    const { stretch, canStretch, target } = session;
    find("stretch").checked = stretch;
    find("stretch").disabled = !canStretch;
    find("stretch-note").textContent = stretch ? STRETCHED
      : canStretch || !target.model ? "" : UNKNOWN;
  };
  find("stretch").addEventListener("change", () =>
    attempt(() => session.setStretch(find("stretch").checked)));
  find("caution-stretch").addEventListener("click", () => attempt(async () => {
    await session.setStretch(true);
    await runner.run();
  }));
  session.addEventListener("values", showStretch);
  session.addEventListener("picture", () => {
    find("caution").hidden = true;
  });
  session.addEventListener("answer", () => {
    const warnings = session.answer?.summary.warnings ?? [];
    find("caution").hidden = !warnings.length;
    find("caution-text").textContent =
      warnings.map((/** @type {{message: string}} */ { message }) => toSentence(message)).join(" ");
    find("caution-stretch").hidden = session.stretch || !session.canStretch ||
      Boolean(session.answer?.windows); // windows cannot be stretched as a whole
  });
}
