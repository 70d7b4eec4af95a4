import { WalholdError } from '../../base/errors.ts';
import { describeSkew, MOST_STORE_SKEW_MS } from '../clock-skew.ts';

/**
 * What is old enough to go is judged by clocks: where this machine's and the store's disagree, one is wrong, and nothing goes. `skewMs`:
 * the store's less this machine's; `undefined`: it is not known. Throws `refused`.
 */
export function requireNoSkew(url: string, skewMs: number | undefined): void {
  if (skewMs === undefined || Math.abs(skewMs) <= MOST_STORE_SKEW_MS) return;
  throw new WalholdError('refused', `nothing was removed from ${url}: its clock, or this machine's, is wrong`, {
    detail: `it is ${describeSkew(skewMs)}`,
    hint: 'Set the clocks right (NTP): what is old enough to go is judged by them.',
  });
}
