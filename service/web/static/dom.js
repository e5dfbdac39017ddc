/** Helpers for elements of the page, and formatting of numbers. */

/**
 * @param {string} id id of an element of the page
 * @returns {any} the element
 */
export function find(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element ${id}`);
  return element;
}

/**
 * @param {string} name
 * @param {Record<string, any>} [properties]
 * @param {...(Node|string)} children
 * @returns {any}
 */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** @param {Element} element @param {ScrollLogicalPosition} block */
export function bringIntoSight(element, block) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ behavior: calm ? "auto" : "smooth", block });
}

/** @param {string} text @returns {string} */
export function toSentence(text) {
  return text[0].toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? "" : ".");
}

/** @param {number} number @returns {string} */
export function count(number) {
  return number.toLocaleString("en-US");
}

/** @param {number} part of 1 @returns {string} */
export function percent(part) {
  return `${(part * 100).toFixed(part > 0 && part < 0.001 ? 2 : 1)} %`;
}

/** @param {number} ms @returns {string} */
export function duration(ms) {
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
