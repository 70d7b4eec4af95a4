/**
 * How many files may be on their way at the same time, by what the store rewards: from time to time more are tried, for a round, and
 * kept if that was faster. Pure: time comes in.
 */
export class UploadLimit {
  readonly #least: number;
  readonly #most: number;
  /** What has proven its worth, and how fast that was in its latest round: bytes a second. */
  #proven: number;
  #speed = 0;
  #isTrial = false;
  /** Rounds to go before more are tried again. */
  #resting = 0;
  #round: { beganAt: number; bytes: number; files: number } | undefined;

  constructor({ least, most }: { least: number; most: number }) {
    this.#least = least;
    this.#most = Math.max(least, most);
    this.#proven = least;
  }

  get value(): number {
    return this.#isTrial ? this.#more : this.#proven;
  }

  /**
   * A file has been stored. `waiting`: others are ready and have no place; only then does the store decide the speed. A round lasts for
   * twice as many files as may be on their way.
   */
  stored(bytes: number, now: number, waiting: boolean): void {
    if (!waiting) {
      this.#round = undefined;
      return;
    }
    if (this.#round === undefined) {
      this.#round = { beganAt: now, bytes: 0, files: 0 };
      return;
    }
    this.#round.bytes += bytes;
    this.#round.files += 1;
    if (this.#round.files < this.value * 2) return;
    const speed = (this.#round.bytes * 1000) / Math.max(1, now - this.#round.beganAt);
    this.#round = undefined;
    this.#judge(speed);
  }

  /** The store did not take one: half as many burden it less, if that is what ails it. */
  failed(): void {
    this.#proven = Math.max(this.#least, this.#proven >> 1);
    this.#isTrial = false;
    this.#resting = 0;
    this.#round = undefined;
  }

  get #more(): number {
    return Math.min(this.#most, Math.ceil(this.#proven * STEP));
  }

  #judge(speed: number): void {
    if (this.#isTrial && speed < this.#speed * WORTH) {
      this.#isTrial = false;
      this.#resting = REST_ROUNDS;
      return;
    }
    if (this.#isTrial) this.#proven = this.#more;
    this.#speed = speed;
    this.#resting = Math.max(0, this.#resting - 1);
    this.#isTrial = this.#resting === 0 && this.#more > this.#proven;
  }
}

/** More at once must bring so much more, or it is not worth its memory. */
const WORTH = 1.08;
const STEP = 1.5;
const REST_ROUNDS = 8;
