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

/**
 * Encode where labels are, as the server does.
 *
 * @param {Uint8Array} labels H × W
 * @param {number} height
 * @param {number} width
 * @param {number[]} ids labels that are encoded
 * @returns {{size: [number, number], counts: string}[]} one for each of them
 */
export function encodeRuns(labels, height, width, ids) {
  /** @type {Map<number, number[]>} */
  const runs = new Map(ids.map((id) => [id, []]));
  const since = new Float64Array(256);
  let place = 0;
  const turn = (/** @type {number} */ label) => {
    runs.get(label)?.push(place - since[label]);
    since[label] = place;
  };
  let before = -1;
  for (let x = 0; x < width; x++) {
    for (let at = x; at < labels.length; at += width, place++) {
      if (labels[at] === before) continue;
      if (place) turn(before);
      before = labels[at];
      turn(before);
    }
  }
  ids.forEach(turn);
  return ids.map((id) => ({ size: [height, width], counts: writeCounts(runs.get(id) ?? []) }));
}

/** @param {number[]} runs @returns {string} */
export function writeCounts(runs) {
  let text = "";
  runs.forEach((run, at) => {
    let number = at > 2 ? run - runs[at - 2] : run;
    let more = true;
    while (more) {
      const bits = number & 31;
      number >>= 5;
      more = bits & 16 ? number !== -1 : number !== 0;
      text += String.fromCharCode(bits + (more ? 32 : 0) + 48);
    }
  });
  return text;
}
