/** Status of the server, requested every two seconds while the page is visible. */

import { getMetrics, getReadiness } from "./api.js";
import { find } from "./dom.js";

const PERIOD_MS = 2000;
const LONGEST_MS = 15_000;
const REMEMBERED = 30;
const FIGURES = ["queue", "requests", "throughput", "computed"];

/** @typedef {{at: number, requests: number, valid: number, image: number, computed: number}} Look */

/**
 * @param {{onReady: () => void, onRefused: () => void}} hooks called when the models may have
 *   changed, and when the server requires a key
 * @param {boolean} counted true if the server has metrics on this port
 * @returns {() => void} function that requests the status now
 */
export function setUpStatus({ onReady, onRefused }, counted) {
  for (const part of document.querySelectorAll(".live, .spark")) {
    part.toggleAttribute("hidden", !counted);
  }
  /** @type {Look|null} */
  let before = null;
  let state = "";
  let waitMs = PERIOD_MS;
  /** @type {number[]} */
  const rates = Array(REMEMBERED).fill(0);
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;

  const look = async () => {
    clearTimeout(timer);
    if (document.visibilityState !== "visible") return;
    try {
      const { status, models } = await getReadiness();
      showHealth(status === "ready" ? "ready" : "loading", describe(status, models));
      const now = models.map((model) => Object.values(model).join()).join(";");
      if (now !== state) onReady();
      state = now;
      waitMs = PERIOD_MS;
      if (counted) before = showMetrics(readMetrics(await getMetrics()), before, rates);
    } catch (error) {
      before = null;
      if (error.status === 401 || error.status === 403) onRefused();
      else {
        state = "";
        showHealth("gone", "not reachable");
        for (const id of FIGURES) find(id).textContent = "–";
        waitMs = Math.min(LONGEST_MS, waitMs * 1.5);
      }
    }
    clearTimeout(timer);
    timer = setTimeout(look, waitMs);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return look;
}

/** @param {string} status @param {import("./api.js").Model[]} models */
function describe(status, models) {
  if (status !== "not ready") return status;
  const waiting = models.find((model) => model.state !== "ready");
  if (!waiting) return "no models";
  const { name, state, warmed } = /** @type {any} */ (waiting);
  return state === "warming" ? `${name} is warming up, ${Math.round(warmed * 100)} %`
    : `${name}: ${state}`;
}

/** @param {string} state @param {string} text */
function showHealth(state, text) {
  const health = find("health");
  if (health.dataset.state === state && health.lastElementChild.textContent === text) return;
  health.dataset.state = state;
  health.lastElementChild.textContent = text;
}

/**
 * @param {string} text in Prometheus' format
 * @returns {Map<string, {labels: Record<string, string>, value: number}[]>} samples by name
 */
export function readMetrics(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    const [, name, inner = "", value] = found;
    const labels = Object.fromEntries(
      [...inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, content]) => [key, content]));
    if (!samples.has(name)) samples.set(name, []);
    samples.get(name).push({ labels, value: Number(value) });
  }
  return samples;
}

/**
 * @param {ReturnType<typeof readMetrics>} samples
 * @param {Look|null} before
 * @param {number[]} rates megapixels a second, changed
 * @returns {Look}
 */
function showMetrics(samples, before, rates) {
  const sum = (/** @type {string} */ name, /** @type {Record<string, string>} */ wanted = {}) =>
    (samples.get(name) ?? [])
      .filter(({ labels }) => Object.entries(wanted).every(([key, value]) => labels[key] === value))
      .reduce((total, { value }) => total + value, 0);
  const now = {
    at: performance.now(),
    requests: sum("lacuna_requests_total", { outcome: "ok" }),
    valid: sum("lacuna_pixels_total", { kind: "valid" }),
    image: sum("lacuna_pixels_total", { kind: "image" }),
    computed: sum("lacuna_pixels_total", { kind: "computed" }),
  };
  find("queue").textContent = String(sum("lacuna_queue_windows"));
  if (before) {
    const seconds = (now.at - before.at) / 1000;
    const rate = Math.max(0, now.valid - before.valid) / seconds / 1e6;
    find("requests").textContent = `${say((now.requests - before.requests) / seconds)}/s`;
    find("throughput").textContent = `${say(rate)} MP/s`;
    rates.push(rate);
    if (rates.length > REMEMBERED) rates.shift();
    drawSpark(rates);
  }
  find("computed").textContent = now.image
    ? `${Math.round((now.computed / now.image) * 100)} %` : "–";
  return now;
}

/** @param {number} number */
function say(number) {
  return number === 0 ? "0" : number.toFixed(number < 10 ? 1 : 0);
}

/** @param {number[]} rates */
function drawSpark(rates) {
  const highest = Math.max(...rates, 1e-6);
  const points = rates.map((rate, at) =>
    `${80 - (rates.length - 1 - at) * (80 / (REMEMBERED - 1))},${22 - (rate / highest) * 20}`);
  find("spark").firstElementChild.setAttribute("points", points.join(" "));
}
