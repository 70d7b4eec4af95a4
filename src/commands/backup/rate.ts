import { WalholdError } from '../../base/errors.ts';

/** As pg_basebackup has it. */
const LEAST = 32 * 1024;
const MOST = 1024 ** 4;

/** Reads `--max-rate` as pg_basebackup does: kilobytes a second, or with the suffix `k` or `M`. Bytes a second. Throws `usage`. */
export function parseRate(text: string): number {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([kM]B?)?$/.exec(text);
  const bytes = Math.round(Number(match?.[1]) * (match?.[2]?.startsWith('M') === true ? 1024 ** 2 : 1024));
  if (bytes >= LEAST && bytes <= MOST) return bytes;
  throw new WalholdError('usage', 'bad value for --max-rate', {
    detail: `"${text.slice(0, 40)}" is not a rate from 32k to 1048576M`,
    hint: 'Give kilobytes a second, or use the suffix k or M: 10M.',
  });
}
