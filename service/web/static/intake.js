/** Opening of pictures: dropped, chosen, pasted, or one of the samples. */

import { getFile } from "./api.js";
import { find, make } from "./dom.js";

const MASK_NAME = /(^|[-_. ])mask([-_. ]|$)/i;

/**
 * @param {import("./session.js").Session} session
 * @param {(work: () => Promise<void>) => void} attempt runs work, and shows its error
 */
export function setUpIntake(session, attempt) {
  /** @param {Blob} image @param {string} name @param {Blob} [mask] */
  const take = async (image, name, mask) => {
    await session.openPicture(image, name);
    if (mask) await session.openMask(mask);
  };
  /** @param {File[]} files */
  const takeFiles = (files) => {
    const mask = files.length > 1 ? files.find(({ name }) => MASK_NAME.test(name)) : undefined;
    const image = files.find((file) => file !== mask);
    if (image) attempt(() => take(image, image.name, mask));
  };
  for (const id of ["image-file", "first-file"]) onFile(id, (file) => takeFiles([file]));
  onFile("mask-file", (file) => attempt(() => session.openMask(file)));
  acceptDrops(takeFiles);
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData?.files ?? []];
    if (files.length) event.preventDefault();
    takeFiles(files);
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
        const open = () => attempt(async () =>
          take(image, `${name}.png`, await getFile(`samples/${name}-mask.png`)));
        for (const id of ["first-samples", "samples"]) {
          find(id).append(makeSample(name, image, open));
        }
      }
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

/** @param {string} id @param {(file: File) => void} use */
function onFile(id, use) {
  const input = find(id);
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = ""; // so that the same file may be chosen again
    if (file) use(file);
  });
}

/** @param {(files: File[]) => void} takeFiles */
function acceptDrops(takeFiles) {
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
    takeFiles([...event.dataTransfer?.files ?? []]);
  });
}
