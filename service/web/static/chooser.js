/** Choice of the model and its version. */

import { listModels } from "./api.js";
import { find, make } from "./dom.js";

export class Chooser {
  /**
   * @param {() => void} onChange is called when the user has chosen another
   * @param {(chosen: import("./api.js").Model|undefined) => void} onDescribe is called with the
   *   version that will answer, whenever it may have changed
   */
  constructor(onChange, onDescribe) {
    this.onDescribe = onDescribe;
    /** @type {import("./api.js").Model[]} */
    this.models = [];
    this.modelSelect = find("model");
    this.versionSelect = find("version");
    this.modelSelect.addEventListener("change", () => {
      this.#fillVersions();
      onChange();
    });
    this.versionSelect.addEventListener("change", () => {
      this.#describe();
      onChange();
    });
  }

  async load() {
    this.models = await listModels();
    const inOrder = [...this.models.filter((model) => model.default), ...this.models];
    fill(this.modelSelect, [...new Set(inOrder.map(({ name }) => name))]
      .map((name) => [name, name]));
    this.#fillVersions();
  }

  /** Choose a model and a version, if there are such. @param {string} name @param {string} version */
  choose(name, version) {
    if (!this.models.some((model) => model.name === name)) return;
    this.modelSelect.value = name;
    this.#fillVersions();
    const isKnown = this.models.some((model) => model.name === name && model.version === version);
    if (isKnown) this.versionSelect.value = version;
    this.#describe();
  }

  /** @returns {string} empty if there is none */
  get model() {
    return this.modelSelect.value;
  }

  /** @returns {string} empty for the highest */
  get version() {
    return this.versionSelect.value;
  }

  #fillVersions() {
    const versions = this.models.filter(({ name, version }) => name === this.model && version);
    fill(this.versionSelect, [["", "highest"], ...versions.map(({ version, state }) =>
      /** @type {[string, string]} */ ([version, state === "ready" ? version
        : `${version} (${state})`]))]);
    this.#describe();
  }

  /** @returns {import("./api.js").Model|undefined} version that will answer; none if none is known */
  get chosen() {
    return findChosen(this.models, this.model, this.version);
  }

  /** Show the model's description, or why it is not ready. */
  #describe() {
    const { chosen } = this;
    this.onDescribe(chosen);
    const note = find("model-note");
    if (!chosen) note.textContent = "The server has no models.";
    else if (chosen.state !== "ready" && !chosen.description) {
      const { state, reason } = chosen;
      note.textContent = `The model is ${state}${reason ? `: ${reason}` : "."}`;
    } else {
      note.textContent = chosen.description ?? "";
      if (chosen.contract && !chosen.contract.padding_invariant) {
        note.append(` It failed the contract check, and is served as well as can be. ${chosen.contract.served}`);
      }
    }
  }
}

/**
 * @param {import("./api.js").Model[]} models
 * @param {string} name
 * @param {string} version empty for the highest
 * @returns {import("./api.js").Model|undefined}
 */
export function findChosen(models, name, version) {
  const mine = models.filter((model) => model.name === name);
  const ready = mine.filter(({ state }) => state === "ready");
  ready.sort((one, other) => Number(other.version) - Number(one.version));
  return mine.find((model) => model.version === version) ?? ready[0] ?? mine[0];
}

/** @param {HTMLSelectElement} select @param {string[][]} options */
function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) =>
    make("option", { value, textContent: text })));
  if (options.some(([value]) => value === before)) select.value = before;
}
