import type { Log } from '../base/log.ts';
import type { Repository } from '../repository/repository.ts';

/** Locks run by the store's clock, moments of recovery by this machine's: apart by more than this, one of them is wrong. */
export const MOST_STORE_SKEW_MS = 300_000;

/** One warning for all stores whose clock is far from this machine's, by their latest answers. Returns whether there are any. */
export function warnOfSkew(repositories: readonly Repository[], log: Log): boolean {
  const skewed = repositories.flatMap(({ url, store }) => {
    const ms = store.clockSkewMs?.();
    return ms === undefined || Math.abs(ms) <= MOST_STORE_SKEW_MS ? [] : [`${url} is ${describeSkew(ms)}`];
  });
  if (skewed.length === 0) return false;
  log.warning('the clocks of this machine and of a store are more than five minutes apart', {
    detail: skewed.join('; '),
    hint: 'Set the clocks right (NTP): locks and moments of recovery go by them.',
  });
  return true;
}

/** `400 s ahead`: of this machine. */
export function describeSkew(ms: number): string {
  return `${Math.round(Math.abs(ms) / 1000)} s ${ms < 0 ? 'behind' : 'ahead'}`;
}
