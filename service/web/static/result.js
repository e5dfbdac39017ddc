/** Timings, downloads, and the same request as a curl command. */

import { background } from "./background.js";
import { SERVER, hasKey } from "./api.js";
import { duration, find, make, bringIntoSight } from "./dom.js";
import { MARKED } from "./mask.js";
import { readColor } from "./tiles.js";

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
    find("curl").textContent = writeCurl({
      name: picture.name, masked: (mask?.marked ?? 0) > 0, model: chooser.model,
      version: chooser.version, nodata, stretch, keyed: hasKey(), server: SERVER.href,
    });
    // Only beside the picture: in a narrow window, scrolling would move the picture out of sight.
    if (isNew && WIDE.matches) bringIntoSight(find("result"), "nearest");
  });
  for (const button of document.querySelectorAll("[data-download]")) {
    const kind = /** @type {HTMLElement} */ (button).dataset.download ?? "";
    button.addEventListener("click", () => attempt(() => download(session, kind)));
  }
  find("copy").addEventListener("click", () => attempt(copyCurl));
}

/** @param {import("./session.js").Answer} answer */
function showTimings({ timings, tookMs }) {
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

/** @param {import("./session.js").Session} session @param {string} kind */
async function download(session, kind) {
  const { answer, picture, mask } = session;
  if (!picture || !mask) return;
  const { width, height } = mask;
  const name = picture.name.replace(/\.[^.]*$/, "");
  if (kind === "mask") {
    save("mask.png", await background.writeMaskPng(mask.cells, width, height, MARKED));
  } else if (!answer) {
    throw new Error("There is no result yet.");
  } else if (kind === "json") {
    save(`${name}-labels.json`, new Blob([answer.content], { type: "application/json" }));
  } else if (kind === "npy") {
    save(`${name}-labels.npy`, await background.writeLabelsNpy(answer.labels, width, height));
  } else {
    const colors = answer.summary.classes.map((/** @type {any} */ { color }) => readColor(color));
    save(`${name}-labels.png`,
      await background.writeLabelsPng(answer.labels, width, height, colors));
  }
}

/** @param {string} name @param {Blob} file */
function save(name, file) {
  const url = URL.createObjectURL(file);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * @param {{name: string, masked: boolean, model: string, version: string, nodata: string,
 *   stretch: boolean, keyed: boolean, server: string}} asked
 * @returns {string}
 */
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

/** @param {string} text for a POSIX shell */
function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

async function copyCurl() {
  const text = find("curl").textContent;
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    // Without https, browsers have only this older interface.
    getSelection()?.selectAllChildren(find("curl"));
    document.execCommand("copy");
  }
  find("copy").textContent = "Copied";
  setTimeout(() => {
    find("copy").textContent = "Copy";
  }, 1500);
}
