import type { ObjectInfo, Protection, RetentionMode } from '../../store/store.ts';
import type { Claim } from './lock-record.ts';
import { weaker } from './lock-rule.ts';

/** Sums over objects and what protects them. */
export class LockTally {
  objects = 0;
  bytes = 0;
  /** Under a legal hold, as far as that was told. */
  held = 0;
  /** How many are locked, by mode; what is in none is not. */
  readonly modes: Map<RetentionMode, number> = new Map();
  /** Of those that are locked, ms since 1970. */
  earliest: number | undefined;
  latest: number | undefined;
  /** The weakest mode of them. */
  #weakest: RetentionMode | undefined;
  #locked = 0;

  add({ bytes }: Pick<ObjectInfo, 'bytes'>, { retention, hold }: Protection): void {
    this.objects += 1;
    this.bytes += bytes;
    if (hold) this.held += 1;
    if (retention !== undefined) this.#lock(1, retention.mode, retention.until.getTime(), retention.until.getTime());
  }

  addClaim({ objects, bytes, until, latest, mode }: Claim): void {
    this.objects += objects;
    this.bytes += bytes;
    this.#lock(objects, mode, until.getTime(), latest.getTime());
  }

  get unlocked(): number {
    return this.objects - this.#locked;
  }

  /** What may be claimed of them all; `undefined`: nothing, since one is not locked or there are none. */
  claim(whole: boolean): Claim | undefined {
    const { objects, bytes, earliest, latest } = this;
    if (objects === 0 || this.unlocked > 0 || earliest === undefined || latest === undefined) return undefined;
    if (this.#weakest === undefined) return undefined;
    return { whole, objects, bytes, until: new Date(earliest), latest: new Date(latest), mode: this.#weakest };
  }

  #lock(objects: number, mode: RetentionMode, until: number, latest: number): void {
    this.#locked += objects;
    this.modes.set(mode, (this.modes.get(mode) ?? 0) + objects);
    this.earliest = Math.min(this.earliest ?? until, until);
    this.latest = Math.max(this.latest ?? latest, latest);
    this.#weakest = this.#weakest === undefined ? mode : weaker(this.#weakest, mode);
  }
}
