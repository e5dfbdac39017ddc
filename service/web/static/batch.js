/** Several files: a list with progress, each result one click away, and all of them as a ZIP. */

import { nameFile, segment } from "./api.js";
import { background } from "./background.js";
import { count, find, make, percent } from "./dom.js";
import { describeLeft } from "./progress.js";
import { persist } from "./retry.js";
import { describeError } from "./run.js";
import { save, readColors } from "./downloads.js";

/** Files that are sent at the same time: one computes while another travels. */
const AT_ONCE = 2;

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {Blob} image
 * @property {Blob|undefined} mask
 * @property {any} row button in the list
 * @property {import("./session.js").Answer|null} answer without labels, which its JSON has
 */

export class Batch {
  /** @type {Entry[]} */
  entries = [];
  /** @type {AbortController|null} */
  controller = null;

  /**
   * @param {import("./session.js").Session} session
   * @param {import("./chooser.js").Chooser} chooser
   * @param {Record<"attempt"|"edit", (work: () => Promise<void>) => void>} how attempt runs work,
   *   and shows its error; edit runs work that changes the picture or its mask
   */
  constructor(session, chooser, { attempt, edit }) {
    this.session = session;
    this.chooser = chooser;
    this.edit = edit;
    find("batch-run").addEventListener("click", () => this.run());
    find("batch-cancel").addEventListener("click", () => this.controller?.abort());
    find("batch-zip").addEventListener("click", () => attempt(() => this.#saveAll()));
  }

  /** List files in place of those before. @param {Omit<Entry, "row"|"answer">[]} files */
  take(files) {
    this.controller?.abort();
    this.entries = files.map((file) => {
      const row = make("button", { type: "button", className: "entry" },
        make("span", { className: "name", textContent: file.name }), make("span"));
      const entry = { ...file, row, answer: null };
      row.addEventListener("click", () => this.edit(() => this.#open(entry)));
      return entry;
    });
    for (const entry of this.entries) tell(entry, "waiting");
    find("files").replaceChildren(...this.entries.map(({ row }) => make("li", {}, row)));
    find("batch").hidden = this.entries.length < 2;
    this.#showState();
    if (!find("batch").hidden) find("batch-run").focus({ preventScroll: true });
  }

  async run() {
    if (this.controller) return;
    const controller = this.controller = new AbortController();
    const { nodata, stretch } = this.session;
    const { model, version } = this.chooser;
    const settings = { model, version, nodata, stretch: stretch ? "percentile" : "" };
    const left = this.#listLeft();
    const queue = left.values();
    const began = performance.now();
    let done = 0;
    this.#showState();
    const work = async () => {
      for (const entry of queue) {
        await this.#ask(entry, settings, controller.signal);
        if (controller.signal.aborted) return;
        const leftMs = (performance.now() - began) / ++done * (left.length - done);
        this.#showState(done < left.length ? leftMs : NaN);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (this.controller === controller) this.controller = null;
    this.#showState();
  }

  /** @returns {Entry[]} those without an answer; all of them, anew, if all have one */
  #listLeft() {
    const left = this.entries.filter(({ answer }) => !answer);
    if (left.length) return left;
    for (const entry of this.entries) {
      entry.answer = null;
      tell(entry, "waiting");
    }
    return this.entries;
  }

  /**
   * @param {Entry} entry
   * @param {{model: string, version: string, nodata: string, stretch: string}} settings
   * @param {AbortSignal} signal
   */
  async #ask(entry, settings, signal) {
    const { name, image, mask } = entry;
    const question = { ...settings, image, imageName: name, mask: mask ?? null };
    tell(entry, "running");
    try {
      const { content, timings, tookMs } = await persist(() => segment(question, { signal }),
        { signal, onWait: () => tell(entry, "the server is busy") });
      const summary = JSON.parse(await content.text());
      entry.answer = { content, summary, timings, tookMs, question, windows: null,
        labels: new Uint8Array() };
      tell(entry, describe(summary), "done");
    } catch (error) {
      if (signal.aborted) tell(entry, "waiting");
      else tell(entry, describeError(nameFile(error, name)), "failed");
    }
  }

  /** @param {Entry} entry */
  async #open({ name, image, mask, answer }) {
    const { session } = this;
    if (!await session.openPicture(image, name)) return;
    const { picture } = session;
    if (mask) await session.openMask(mask, true);
    if (!answer?.content) return;
    const read = await background.readAnswer(answer.content);
    if (session.picture === picture) await session.setAnswer({ ...answer, ...read });
  }

  async #saveAll() {
    /** @type {{name: string, content: Uint8Array<ArrayBuffer>}[]} */
    const files = [];
    const stems = this.entries.map(({ name }) => name.replace(/\.[^./]*$/, ""));
    for (const [at, { name, answer }] of this.entries.entries()) {
      if (!answer?.content) continue;
      // Files that differ in their suffix alone keep it.
      const isAlone = stems.filter((other) => other === stems[at]).length === 1;
      const stem = isAlone ? stems[at] : name;
      const { labels, summary } = await background.readAnswer(answer.content);
      const { height, width } = summary.size;
      const png = await background.writeLabelsPng(labels, width, height, readColors({ summary }));
      files.push({ name: `${stem}-labels.png`, content: new Uint8Array(await png.arrayBuffer()) },
        { name: `${stem}.json`, content: new Uint8Array(await answer.content.arrayBuffer()) });
    }
    save("lacuna-results.zip", await background.writeZip(files));
  }

  /** @param {number} [leftMs] NaN if it is not known */
  #showState(leftMs = NaN) {
    const done = this.entries.filter(({ answer }) => answer).length;
    const running = this.controller !== null;
    const left = Number.isFinite(leftMs) ? ` · ${describeLeft(leftMs)}` : "";
    find("batch-progress").textContent = `${count(done)} of ${count(this.entries.length)}${left}`;
    find("batch-run").disabled = running;
    find("batch-run").textContent = running ? "Segmenting…"
      : done && done === this.entries.length ? "Segment all again" : "Segment all";
    find("batch-cancel").hidden = !running;
    find("batch-zip").disabled = !done;
  }
}

/** @param {Entry} entry @param {string} text @param {string} [state] */
function tell({ row }, text, state = "") {
  row.dataset.state = state;
  row.lastElementChild.textContent = text;
}

/** @param {any} summary @returns {string} the largest class, and its part of the valid pixels */
function describe({ classes }) {
  const [largest] = [...classes].sort((one, other) => other.pixels - one.pixels);
  return largest?.pixels ? `${largest.name} ${percent(largest.fraction)}` : "nothing valid";
}
