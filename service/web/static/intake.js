/** Opening of pictures: dropped, chosen, pasted, or one of the samples. */

import { getFile } from "./api.js";
import { find, make } from "./dom.js";
import { readDrop } from "./dropped.js";
import { pairFiles } from "./pairs.js";

/**
 * @param {import("./session.js").Session} session
 * @param {{batch: import("./batch.js").Batch, edit: (work: () => Promise<void>) => void}} parts
 *   edit runs work that changes the picture or its mask, and shows its error
 */
export function setUpIntake(session, { batch, edit }) {
  /** @param {Blob} image @param {string} name @param {Blob} [mask] @param {boolean} [isSample] */
  const take = async (image, name, mask, isSample) => {
    const isOpen = await session.openPicture(image, name, isSample);
    if (isOpen && mask) await session.openMask(mask, true);
  };
  /** @type {Map<string, () => Promise<void>>} */
  const openers = new Map();
  /** @param {import("./dropped.js").Named[]} files */
  const takeFiles = (files) => {
    const pairs = pairFiles(files).map(({ image, mask }) =>
      ({ name: image.name, image: image.file, mask: mask?.file }));
    const [first] = pairs;
    if (!first) return;
    batch.take(pairs);
    edit(() => take(first.image, first.name, first.mask));
  };
  const takeChosen = (/** @type {File[]} */ files) =>
    takeFiles(files.map((file) => ({ file, name: file.name })));
  for (const id of ["image-file", "first-file"]) onFiles(id, takeChosen);
  onFiles("mask-file", ([file]) => edit(() => session.openMask(file)));
  acceptDrops((transfer) => edit(async () => takeFiles(await readDrop(transfer))));
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData?.files ?? []];
    if (files.length) event.preventDefault();
    takeChosen(files);
  });
  return {
    /** Show the samples. After a failure, a later call tries again. @param {string[]} names */
    async offer(names) {
      if (find("samples").childElementCount) return;
      const samples = await Promise.all(names.map(async (name) => ({
        name, image: await getFile(`samples/${name}.png`),
      })));
      if (find("samples").childElementCount) return;
      find("offer").hidden = !samples.length;
      for (const { name, image } of samples) {
        const open = async () =>
          take(image, `${name}.png`, await getFile(`samples/${name}-mask.png`), true);
        openers.set(name, open);
        for (const id of ["first-samples", "samples"]) {
          find(id).append(makeSample(name, image, () => edit(open)));
        }
      }
    },
    /** Open a sample. @param {string} name */
    async openSample(name) {
      const open = openers.get(name);
      if (!open) throw new Error(`The server has no sample of the name ${name}.`);
      await open();
    },
  };
}

/** @param {string} name @param {Blob} image @param {() => void} open */
function makeSample(name, image, open) {
  // Fetched, because an image element cannot send a key.
  const picture = make("img", { src: URL.createObjectURL(image), alt: "" });
  const button = make("button", { type: "button", className: "sample" }, picture,
    make("span", { textContent: name.replaceAll("_", " ") }));
  button.addEventListener("click", open);
  return make("li", {}, button);
}

/** @param {string} id @param {(files: File[]) => void} use */
function onFiles(id, use) {
  const input = find(id);
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // so that the same file may be chosen again
    if (files.length) use(files);
  });
}

/** @param {(transfer: DataTransfer) => void} takeDrop */
function acceptDrops(takeDrop) {
  let depth = 0;
  const show = () => document.body.classList.toggle("dropping", depth > 0);
  document.addEventListener("dragenter", () => {
    depth++;
    show();
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    show();
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    show();
    if (event.dataTransfer) takeDrop(event.dataTransfer);
  });
}
