/** Timings of the result, and the same work as a command. */

import { SERVER, hasKey } from "./api.js";
import { copy, writeCurl, writeSegment } from "./commands.js";
import { count, duration, find, make, bringIntoSight } from "./dom.js";

/** Windows in which layout.css puts the picture beside the panel. */
const WIDE = matchMedia("(min-width: 901px)");

/**
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 * @param {(work: () => Promise<void>) => void} attempt runs work, and shows its error
 */
export function setUpResult(session, chooser, attempt) {
  session.addEventListener("picture", () => {
    find("result").hidden = true;
  });
  session.addEventListener("stale", () => {
    find("stale").hidden = false;
  });
  session.addEventListener("answer", () => {
    const { answer, picture, mask, nodata, stretch } = session;
    if (!answer || !picture) return;
    const isNew = find("result").hidden;
    find("result").hidden = false;
    find("stale").hidden = true;
    showTimings(answer);
    find("windows-note").textContent = describeWindows(answer.windows);
    const write = answer.windows ? writeSegment : writeCurl;
    find("curl-name").textContent = answer.windows
      ? "The same on the command line" : "The same request with curl";
    find("curl").textContent = write({
      name: picture.name, masked: (mask?.marked ?? 0) > 0, model: chooser.model,
      version: chooser.version, nodata, stretch, keyed: hasKey(), server: SERVER.href,
    });
    // Only beside the picture: in a narrow window, scrolling would move the picture out of sight.
    if (isNew && WIDE.matches) bringIntoSight(find("result"), "nearest");
  });
  find("copy").addEventListener("click", () => attempt(() => copy(find("curl"), find("copy"))));
}

/** @param {import("./session.js").Answer["windows"]} windows */
function describeWindows(windows) {
  if (!windows) return "";
  const { sent, planned } = windows;
  const empty = planned - sent;
  const others = empty === 1 ? " Another one is empty." : ` ${count(empty)} others are empty.`;
  return `The image is larger than the server takes at once, so it was sent in ${count(sent)} ` +
    `window${sent === 1 ? "" : "s"}.${empty ? others : ""} The labels are those of one request.`;
}

/** @param {import("./session.js").Answer} answer */
function showTimings({ timings, tookMs }) {
  find("timing").hidden = !timings.size;
  const served = [...timings.values()].reduce((sum, ms) => sum + ms, 0);
  const stages = [...timings, ["transfer", Math.max(0, tookMs - served)]];
  find("took").textContent = duration(tookMs);
  find("timing-bar").replaceChildren(...stages.map(([stage, ms]) => {
    const part = make("i", { className: `stage-${stage}` });
    part.style.flexGrow = ms;
    return part;
  }));
  find("timings").replaceChildren(...stages.map(([stage, ms]) => make("div", {},
    make("dt", {}, make("i", { className: `stage-${stage}` }), String(stage)),
    make("dd", { textContent: duration(Number(ms)) }))));
}
