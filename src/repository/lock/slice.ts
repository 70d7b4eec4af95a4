import { crc32c } from '../../stream/checksum.ts';

const DAY_MS = 86_400_000;
/** In so many days everything that records claim is asked for again. */
export const SLICES = 30;

/**
 * Whether what a record says of this directory is asked for again today: another thirtieth each day, the same for every run of a
 * day. So no forged record spares anything its lock for longer than a month.
 */
export function isTodays(prefix: string, now: number): boolean {
  return crc32c(Buffer.from(prefix)) % SLICES === Math.floor(now / DAY_MS) % SLICES;
}
