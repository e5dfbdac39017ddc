/** Timings of the result, the same work as code, and a link to what is shown. */

import { SERVER, hasKey } from "./api.js";
import { copy, writeSegment } from "./commands.js";
import { count, duration, find, make, bringIntoSight } from "./dom.js";
import { writePlace } from "./link.js";
import { LANGUAGES } from "./snippets.js";

/** Windows in which layout.css puts the picture beside the panel. */
const WIDE = matchMedia("(min-width: 901px)");

/**
 * @param {import("./session.js").Session} session
 * @param {{view: import("./view.js").View, chooser: import("./chooser.js").Chooser,
 *   attempt: (work: () => Promise<void>) => void}} parts attempt runs work, and shows its error
 */
export function setUpResult(session, { view, chooser, attempt }) {
  const showCode = setUpCode(session, chooser);
  session.addEventListener("picture", () => {
    find("result").hidden = true;
  });
  session.addEventListener("stale", () => {
    find("stale").hidden = false;
  });
  session.addEventListener("answer", () => {
    const { answer, picture } = session;
    if (!answer || !picture) return;
    const isNew = find("result").hidden;
    const wasRun = [find("run"), find("cancel")].includes(document.activeElement);
    find("result").hidden = false;
    find("stale").hidden = true;
    showTimings(answer);
    find("windows-note").textContent = describeWindows(answer.windows);
    showCode();
    find("copy-link").hidden = !picture.sampleOf;
    // Only beside the picture: in a narrow window, scrolling would move the picture out of sight.
    if (isNew && wasRun) find("h-result").focus({ preventScroll: true });
    if (isNew && WIDE.matches) bringIntoSight(find("result"), "nearest");
  });
  find("mask-save").addEventListener("click", () => find("save-mask").click());
  find("copy").addEventListener("click", () => attempt(() => copy(find("curl"), find("copy"))));
  find("copy-link").addEventListener("click", () => attempt(async () => {
    const { picture } = session;
    const sample = picture ? `${picture.sampleOf}/${picture.name.replace(".png", "")}` : "";
    const place = { sample, model: chooser.model, version: chooser.version,
      layer: find("layer").value, view: view.place };
    find("link").textContent = new URL(`#${writePlace(place)}`, SERVER).href;
    await copy(find("link"), find("copy-link"));
  }));
}

/**
 * @param {import("./session.js").Session} session
 * @param {import("./chooser.js").Chooser} chooser
 * @returns {() => void} function that shows the code of the present answer
 */
function setUpCode(session, chooser) {
  let language = "curl";
  const show = () => {
    const { answer, picture, maskName, nodata, stretch } = session;
    if (!answer || !picture) return;
    const write = answer.windows ? writeSegment : LANGUAGES.get(language) ?? writeSegment;
    find("curl-name").textContent = answer.windows ? "The same on the command line" : "As code";
    find("languages").hidden = Boolean(answer.windows);
    find("mask-needed").hidden = maskName !== "mask.png";
    find("curl").textContent = write({
      name: picture.name, mask: maskName, sampleOf: maskName === "mask.png" ? "" : picture.sampleOf,
      model: chooser.model, version: chooser.version, nodata, stretch, keyed: hasKey(),
      server: SERVER.href,
    });
  };
  for (const name of LANGUAGES.keys()) {
    const input = make("input", { type: "radio", name: "language", checked: name === language });
    input.addEventListener("change", () => {
      language = name;
      show();
    });
    find("languages").append(make("label", {}, input,
      make("span", {}, make("b", { textContent: name }))));
  }
  return show;
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
