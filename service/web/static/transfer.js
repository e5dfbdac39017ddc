/** Sending of a form with progress events, which `fetch` lacks. */

/**
 * @param {URL} url
 * @param {FormData} form
 * @param {Record<string, string>} headers
 * @param {{signal?: AbortSignal, onProgress?: (stage: string, part: number) => void}} options
 *   stages are `send`, `wait` and `receive`; part is of 1
 * @returns {Promise<{status: number, content: Blob,
 *   find: (header: string) => string|null}>}
 */
export function send(url, form, headers, { signal, onProgress = () => {} }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const gone = () => reject(new DOMException("The request was cancelled.", "AbortError"));
    request.open("POST", url);
    request.responseType = "blob"; // its bytes are read where they are needed, mostly in the worker
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) =>
      onProgress("send", loaded / (total || 1)));
    request.upload.addEventListener("load", () => onProgress("wait", 0));
    request.addEventListener("progress", ({ loaded, total }) =>
      onProgress("receive", loaded / (total || loaded || 1)));
    request.addEventListener("load", () => resolve({
      status: request.status,
      content: request.response,
      find: (header) => request.getResponseHeader(header),
    }));
    request.addEventListener("error", () => reject(new TypeError("no answer")));
    request.addEventListener("abort", gone);
    if (signal?.aborted) return gone();
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    return request.send(form);
  });
}
