/** Pace at which windows are done, and how long the others will take at it. */
export class Pace {
  /** @param {import("./windows.js").Window[]} windows */
  constructor(windows) {
    this.began = performance.now();
    this.left = windows.reduce((sum, { input }) => sum + input.width * input.height, 0);
    this.pixels = 0;
    this.done = 0;
  }

  /** @param {import("./windows.js").Window} window that is done @returns {number} how many are */
  add({ input }) {
    this.pixels += input.width * input.height;
    this.left -= input.width * input.height;
    return ++this.done;
  }

  get leftMs() {
    return (performance.now() - this.began) * this.left / this.pixels;
  }
}
