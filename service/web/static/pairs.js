/** Images and their masks among files. It only decides. */

const WORD = "mask";

/**
 * @template {{name: string}} Named
 * @param {Named[]} files
 * @returns {{image: Named, mask: Named|undefined}[]} a file is the mask of another if it is called
 *   so, as `scene-mask.png` beside `scene.tif`, or if there are only these two
 */
export function pairFiles(files) {
  const masks = files.filter(({ name }) => findWords(name).includes(WORD));
  const images = files.filter((file) => !masks.includes(file));
  if (!images.length) return files.map((image) => ({ image, mask: undefined }));
  if (images.length === 1 && masks.length === 1) return [{ image: images[0], mask: masks[0] }];
  const pairs = images.map((image) => {
    const stem = findStem(image.name);
    return { image, mask: masks.find(({ name }) => findStem(name) === stem) };
  });
  const taken = new Set(pairs.map(({ mask }) => mask));
  const others = masks.filter((mask) => !taken.has(mask));
  return [...pairs, ...others.map((image) => ({ image, mask: undefined }))];
}

/** @param {string} name @returns {string} folder and name without the word for a mask */
function findStem(name) {
  const folder = name.slice(0, name.lastIndexOf("/") + 1);
  return folder + findWords(name).filter((word) => word !== WORD).join("-");
}

/** @param {string} name @returns {string[]} words of a file's name without its suffix */
function findWords(name) {
  const base = name.slice(name.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
  return base.toLowerCase().split(/[-_. ]+/);
}
