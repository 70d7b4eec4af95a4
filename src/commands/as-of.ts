import { WalholdError } from '../base/errors.ts';
import { formatTargetTime, parseTargetTime, type LocalZone } from '../postgres/target-time.ts';

/** The moment of `--as-of`: what was stored or done in a repository later is not seen. */
export interface AsOf {
  /** To the millisecond, downwards. */
  at: Date;
  /** The same with its offset from UTC, for another command line. */
  text: string;
}

/** Reads the option by the rules of `--target-time`: without a zone it is local time. Throws `usage`. */
export function parseAsOf(text: string, zone: LocalZone): AsOf {
  const parsed = parseTargetTime(text, zone);
  if (!parsed.ok) {
    throw new WalholdError('usage', `bad value for --as-of: ${parsed.message}`, {
      hint: 'Give the offset from UTC too: it is safest.',
    });
  }
  return { at: new Date(Number(parsed.target.unixMicros / 1000n)), text: formatTargetTime(parsed.target) };
}
