/** COCO's run-length encoding, as the JSON answer has it: down the columns, beginning with "no". */

/**
 * @param {string} text compressed counts
 * @returns {number[]} run lengths
 */
export function readCounts(text) {
  /** @type {number[]} */
  const counts = [];
  let at = 0;
  while (at < text.length) {
    let number = 0;
    let place = 0;
    let code;
    do {
      code = text.charCodeAt(at++) - 48;
      number += (code & 31) * 2 ** place;
      place += 5;
    } while (code & 32);
    if (code & 16) number -= 2 ** place;
    // From the fourth on, the difference to the one before last.
    counts.push(counts.length > 2 ? number + counts[counts.length - 2] : number);
  }
  return counts;
}

/**
 * Write a label wherever an encoded mask is set.
 *
 * @param {Uint8Array} labels H × W, changed
 * @param {{size: [number, number], counts: string}} encoded
 * @param {number} label
 * @returns {number} how many pixels that were
 */
export function fillRuns(labels, { size: [height, width], counts }, label) {
  let place = 0;
  let pixels = 0;
  let on = false;
  for (const run of readCounts(counts)) {
    if (on) {
      pixels += run;
      let y = place % height;
      let at = y * width + Math.floor(place / height);
      for (let left = run; left > 0; left--) {
        labels[at] = label;
        at += width;
        if (++y === height) {
          y = 0;
          at += 1 - height * width;
        }
      }
    }
    place += run;
    on = !on;
  }
  return pixels;
}
