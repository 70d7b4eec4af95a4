/** How many files may be on their way at the same time, by what the store rewards. Pure: time comes in. */
export class UploadLimit {
  readonly #least: number;
  readonly #most: number;
  #limit: number;
  /** Bytes a second before the last step up; it is kept only if it brought more. */
  #before = 0;
  #round: { beganAt: number; bytes: number; files: number } | undefined;
  /** Rounds to go before the next step up is tried: it has not paid. */
  #resting = 0;

  constructor({ least, most }: { least: number; most: number }) {
    this.#least = least;
    this.#most = Math.max(least, most);
    this.#limit = least;
  }

  get value(): number {
    return this.#limit;
  }

  /**
   * A file has been stored. `waiting`: others are ready and had no room; only then does the store decide the speed. A round is as many
   * files as may be under way, twice.
   */
  stored(bytes: number, now: number, waiting: boolean): void {
    if (!waiting) {
      this.#round = undefined;
      return;
    }
    this.#round ??= { beganAt: now, bytes: 0, files: 0 };
    const round = this.#round;
    // What ends at the very beginning was sent before.
    if (round.beganAt !== now || round.files > 0) round.bytes += bytes;
    round.files += 1;
    if (round.files <= this.#limit * 2) return;
    const speed = (round.bytes * 1000) / Math.max(1, now - round.beganAt);
    this.#round = undefined;
    this.#judge(speed);
  }

  /** The store did not take one: half as many burden it less, if that is what ails it. */
  failed(): void {
    this.#limit = Math.max(this.#least, this.#limit >> 1);
    this.#round = undefined;
    this.#before = 0;
    this.#resting = 0;
  }

  #judge(speed: number): void {
    if (this.#resting > 0) {
      this.#resting -= 1;
      this.#before = speed;
      return;
    }
    if (speed > this.#before * WORTH) {
      this.#before = speed;
      this.#limit = Math.min(this.#most, Math.ceil(this.#limit * STEP));
      return;
    }
    this.#limit = Math.max(this.#least, Math.floor(this.#limit / STEP));
    this.#before = speed;
    this.#resting = REST_ROUNDS;
  }
}

/** More at once must bring so much more, or it is not worth its memory. */
const WORTH = 1.08;
const STEP = 1.5;
const REST_ROUNDS = 8;
