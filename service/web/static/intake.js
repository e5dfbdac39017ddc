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
  /** @param {Blob} image @param {string} name @param {Blob} [mask] @param {string} [sampleOf] */
  const take = async (image, name, mask, sampleOf) => {
    const isOpen = await session.openPicture(image, name, sampleOf);
    if (isOpen && mask) await session.openMask(mask, true);
  };
  /** Names of samples, by model. @type {Record<string, string[]>} */
  let offered = {};
  /** Model whose samples are shown. */
  let shown = "";
  /** A model without samples of its own is shown with those of the first one. */
  const findOwner = () => {
    const { model } = session.target;
    return model in offered ? model : Object.keys(offered)[0] ?? "";
  };
  /** @param {string} owner @param {string} name @param {Blob} image */
  const takeSample = async (owner, name, image) =>
    take(image, `${name}.png`, await getFile(`samples/${owner}/${name}-mask.png`), owner);
  const showSamples = async () => {
    const owner = findOwner();
    if (owner === shown) return;
    const samples = await Promise.all(offered[owner].map(async (name) => ({
      name, image: await getFile(`samples/${owner}/${name}.png`),
    })));
    if (owner !== findOwner() || owner === shown) return; // it took a while
    shown = owner;
    find("offer").hidden = !samples.length;
    for (const id of ["first-samples", "samples"]) {
      find(id).dataset.model = owner;
      find(id).replaceChildren(...samples.map(({ name, image }) =>
        makeSample(name, image, () => edit(() => takeSample(owner, name, image)))));
    }
  };
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
    /**
     * Show the samples of the model that is chosen. After a failure, a later call tries again.
     *
     * @param {Record<string, string[]>} names of samples, by model
     */
    async offer(names) {
      offered = names;
      await showSamples();
    },
    showSamples,
    /** Open a sample. @param {string} place `MODEL/NAME` */
    async openSample(place) {
      const [owner, name] = place.split("/");
      if (!offered[owner]?.includes(name)) {
        throw new Error(`The server has no sample of the name ${place}.`);
      }
      await takeSample(owner, name, await getFile(`samples/${place}.png`));
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
