import type { ObjectInfo, Protection } from '../../store/store.ts';
import type { Claim } from './lock-record.ts';
import type { FoundRecord } from './lock-records.ts';
import { isWeaker, TOLERANCE_MS } from './lock-rule.ts';

/** Clocks that agree differ by less; and what is dated so much later than the record was not there when it was made. */
const SAME_TIME_MS = 5000;

/** Whether a directory is as a record says. What was stored after the record is none of its business. */
export class ClaimCheck {
  readonly #claim: Claim | undefined;
  readonly #at: number;
  #objects = 0;
  #isSo = true;

  constructor({ record }: FoundRecord, prefix: string) {
    this.#claim = record.claims.get(prefix);
    this.#at = record.at.getTime() + SAME_TIME_MS;
  }

  /** An object with the lock that it had before this run; `undefined`: it was not asked for. */
  add({ storedAt }: ObjectInfo, protection: Protection | undefined): void {
    if (this.#claim === undefined || storedAt.getTime() > this.#at) return;
    this.#objects += 1;
    if (protection === undefined) return;
    const { retention } = protection;
    const { until, mode } = this.#claim;
    // Listings do not show the immutable attribute.
    const isWeak = retention !== undefined && retention.mode !== 'read-only' && isWeaker(retention.mode, mode);
    if (retention === undefined || isWeak) this.#isSo = false;
    else if (retention.until.getTime() + TOLERANCE_MS < until.getTime()) this.#isSo = false;
  }

  /** Of a directory whose every object was added. */
  get isSo(): boolean {
    return this.#isSo && this.#objects >= (this.#claim?.objects ?? 0);
  }
}
