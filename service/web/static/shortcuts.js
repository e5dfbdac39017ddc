/** The list of keyboard shortcuts, opened by a button or by "?". */

import { find } from "./dom.js";

/** @param {EventTarget|null} target @returns {boolean} true if keys are text there */
export function isTyping(target) {
  return target instanceof HTMLElement &&
    target.matches("input:not([type=radio], [type=range], [type=checkbox], [type=file]), select");
}

export function setUpShortcuts() {
  const dialog = find("shortcuts");
  find("shortcuts-open").addEventListener("click", () => dialog.showModal());
  find("shortcuts-close").addEventListener("click", () => dialog.close());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    dialog.showModal();
  });
}
