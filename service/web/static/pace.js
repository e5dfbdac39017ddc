/** Pace of work, and how long the rest of it will take at this pace. */
export class Pace {
  /** @param {number} total amount of work, such as pixels @param {number} [done] part of it */
  constructor(total, done = 0) {
    this.began = performance.now();
    this.total = total;
    this.before = done;
    this.done = done;
  }

  /** Not finite as long as the pace is not known. */
  get leftMs() {
    const spent = performance.now() - this.began;
    return spent * (this.total - this.done) / (this.done - this.before);
  }
}
