/** Calls of the worker: `await background.openPicture(blob)`. */

/** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
const waiting = new Map();
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
let last = 0;

worker.addEventListener("message", ({ data: { id, value, error } }) => {
  const call = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) call?.resolve(value);
  else call?.reject(new Error(error));
});

worker.addEventListener("error", () => {
  for (const call of waiting.values()) {
    call.reject(new Error("The browser could not finish this task; it may be out of memory."));
  }
  waiting.clear();
});

/** @type {Record<string, (...given: any[]) => Promise<any>>} */
export const background = new Proxy({}, {
  get: (_, task) => (/** @type {any[]} */ ...given) => new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    worker.postMessage({ id: last, task, given });
  }),
});
