/** So far back it looks: a store that was slow an hour ago says nothing of now. */
const WINDOW_MS = 10_000;
/** Less tells nothing. */
const LEAST_MS = 500;

/** Bytes a second over the last seconds. */
export class RecentRate {
  readonly #seen: { ms: number; bytes: number }[];

  constructor(nowMs: number, bytes: number) {
    this.#seen = [{ ms: nowMs, bytes }];
  }

  /** Up to now; `undefined`: too little time has passed. */
  at(nowMs: number, bytes: number): number | undefined {
    while (this.#seen.length > 1 && nowMs - (this.#seen[1]?.ms ?? nowMs) >= WINDOW_MS) this.#seen.shift();
    const [first] = this.#seen;
    if (first === undefined || nowMs - first.ms < LEAST_MS) return undefined;
    if (nowMs - (this.#seen.at(-1)?.ms ?? 0) >= LEAST_MS) this.#seen.push({ ms: nowMs, bytes });
    return Math.max(0, ((bytes - first.bytes) * 1000) / (nowMs - first.ms));
  }
}
