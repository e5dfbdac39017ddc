/** Requests of the page to the server. */

import { send } from "./transfer.js";

/**
 * @typedef {{id: number, name: string, color: string}} Class
 * @typedef {object} Model
 * @property {string} name
 * @property {string} version
 * @property {string} state
 * @property {string} reason reason why the model is not ready
 * @property {boolean} default true if requests that name no model are for this one
 * @property {string} [description]
 * @property {{channels: number, dtype: string, statistics?: {low: number, high: number}[]}} [image]
 * @property {Class[]} [classes]
 * @property {{padding_invariant: boolean, served: string}} [contract]
 * @property {number} [total_stride]
 * @property {number} [receptive_radius]
 * @property {import("./windows.js").Limits} [limits]
 *
 * @typedef {object} Question
 * @property {Blob} image
 * @property {string} imageName
 * @property {Blob|null} mask
 * @property {string} model
 * @property {string} version
 * @property {string} nodata as it was typed; empty for none
 * @property {string} stretch percentile, or empty for none
 * @property {string} [also] planes beside the labels, with commas between
 *
 * @typedef {object} Options
 * @property {AbortSignal} [signal]
 * @property {(stage: string, part: number) => void} [onProgress]
 * @property {string} [id] id of the request, to request its progress by
 */

/** URL of the server, with the path prefix of a proxy if there is one. */
export const SERVER = new URL("..", import.meta.url);

let key = "";

/** @param {string} text kept as long as the page is open, and nowhere else */
export function setKey(text) {
  key = text.trim();
}

/** @returns {boolean} */
export function hasKey() {
  return key !== "";
}

/** Error that the server answered with, or an unreachable server. */
export class Problem extends Error {
  /**
   * @param {number} status HTTP status; 0 if there was no answer
   * @param {string} code
   * @param {string} detail
   * @param {number} retryAfterS
   */
  constructor(status, code, detail, retryAfterS = 0) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** Statuses of errors that are about the file that was sent. */
const ABOUT_FILE = [400, 413, 415, 422];
/** Not reachable, or restarting. */
const AWAY = [0, 502, 503];

/** @param {Error} error @returns {boolean} true if the server is away, and may come back */
export function isAway(error) {
  return error instanceof Problem && AWAY.includes(error.status);
}

/**
 * Name the file in an error that is about it.
 *
 * @template {Error} Kind
 * @param {Kind} error
 * @param {string} name
 * @returns {Kind} the same error
 */
export function nameFile(error, name) {
  const isAboutFile = !(error instanceof Problem) || ABOUT_FILE.includes(error.status);
  if (isAboutFile && !error.message.includes(name)) error.message = `File ${name}: ${error.message}`;
  return error;
}

/**
 * Segment an image.
 *
 * @param {Question} question
 * @param {string} accept media type of the answer
 * @param {Options} [options]
 * @returns {Promise<{content: Blob, find: (header: string) => string|null}>}
 */
export async function request(question, accept, options = {}) {
  const form = new FormData();
  form.append("image", question.image, question.imageName);
  if (question.mask) form.append("mask", question.mask, "mask");
  for (const name of /** @type {const} */ (["model", "version", "nodata", "stretch", "also"])) {
    const value = question[name];
    if (value) form.append(name, value);
  }
  const headers = getHeaders(accept);
  if (options.id) headers["X-Request-ID"] = options.id;
  const answer = await send(new URL("v1/segment", SERVER), form, headers, options).catch(explain);
  if (answer.status !== 200) {
    throw readProblem(answer.status, await answer.content.text(), answer.find);
  }
  return answer;
}

/**
 * Segment an image, with JSON for an answer.
 *
 * @param {Question} question
 * @param {Options} [options]
 * @returns {Promise<{content: Blob, timings: Map<string, number>, tookMs: number}>} the JSON
 *   answer, and the milliseconds of the server's stages and of the whole request
 */
export async function segment(question, options = {}) {
  const began = performance.now();
  const { content, find } = await request(question, "application/json", options);
  const tookMs = performance.now() - began;
  return { content, timings: readServerTiming(find("Server-Timing") ?? ""), tookMs };
}

/**
 * Request a picture of an image that the browser cannot show, as a model is given it.
 *
 * @param {Blob} image
 * @param {{mask?: Blob|null, nodata?: string, model?: string, version?: string, stretch?: string,
 *   signal?: AbortSignal}} [options]
 * @returns {Promise<{picture: Blob, exact: boolean, inRange: boolean}>} PNG of the image's size,
 *   transparent where pixels are missing; exact is true if its values are those of the image,
 *   inRange if they are drawn in the model's range
 */
export async function preview(image, { mask, signal, ...fields } = {}) {
  const body = new FormData();
  body.append("image", image);
  if (mask) body.append("mask", mask);
  for (const [name, value] of Object.entries(fields)) if (value) body.append(name, value);
  const response = await ask("v1/preview", { method: "POST", body, signal });
  const exact = response.headers.get("Lacuna-Preview") === "exact";
  const inRange = response.headers.get("Lacuna-Preview-Range") === "model";
  return { picture: await response.blob(), exact, inRange };
}

/**
 * @param {string} id of a request
 * @param {AbortSignal} signal
 * @returns {Promise<{windows: {done: number, total: number}, ended: boolean}>} how much of it is
 *   computed
 */
export async function getProgress(id, signal) {
  return (await ask(`v1/progress/${id}`, { signal })).json();
}

/**
 * @typedef {object} About features of the server
 * @property {Record<string, string[]>} samples their names, by the model that they belong to
 * @property {boolean} docs
 * @property {boolean} metrics
 */

/** @returns {Promise<Model[]>} */
export async function listModels() {
  const response = await ask("v1/models");
  return (await response.json()).models;
}

/** @returns {Promise<About>} */
export async function getAbout() {
  return (await ask("static/about.json")).json();
}

/** @param {string} path relative to the server's URL @returns {Promise<Blob>} */
export async function getFile(path) {
  return (await ask(path)).blob();
}

/** @returns {Promise<{status: string, models: Model[]}>} */
export async function getReadiness() {
  const response = await ask("readyz", {}, [503]);
  return response.json();
}

/** @returns {Promise<string>} in Prometheus' text format */
export async function getMetrics() {
  return (await ask("metrics")).text();
}

/**
 * @param {string} path relative to the server's URL
 * @param {RequestInit} [options]
 * @param {number[]} [expected] statuses that are no errors
 */
async function ask(path, options = {}, expected = []) {
  const response = await fetch(new URL(path, SERVER), { headers: getHeaders("*/*"), ...options })
    .catch(explain);
  if (!response.ok && !expected.includes(response.status)) {
    throw readProblem(response.status, await response.text(), (name) => response.headers.get(name));
  }
  return response;
}

/** @param {string} accept @returns {Record<string, string>} */
function getHeaders(accept) {
  return key ? { Accept: accept, Authorization: `Bearer ${key}` } : { Accept: accept };
}

/** @param {Error} error @returns {never} */
function explain(error) {
  if (error.name === "AbortError") throw error;
  throw new Problem(0, "unreachable", "The server cannot be reached. Is it still running?");
}

/**
 * @param {number} status
 * @param {string} text
 * @param {(name: string) => string|null} findHeader
 */
function readProblem(status, text, findHeader) {
  const retryAfterS = Number(findHeader("Retry-After")) || 0;
  if (status === 401 && key) {
    // The server's message is about headers, which users of the page do not set.
    return new Problem(status, "unauthenticated", "The server does not know this key.");
  }
  try {
    const { code, detail } = JSON.parse(text);
    if (detail) return new Problem(status, code, detail, retryAfterS);
  } catch {
    // The answer is not from the service, but perhaps from a proxy.
  }
  return new Problem(status, "http_error", `The server answered with status ${status}.`,
    retryAfterS);
}

/** @param {string} header @returns {Map<string, number>} milliseconds by stage */
export function readServerTiming(header) {
  const stages = header.matchAll(/([\w-]+);dur=([\d.]+)/g);
  return new Map([...stages].map(([, stage, duration]) => [stage, Number(duration)]));
}
