import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { ioError } from '../../base/errors.ts';
import { readPgWal } from '../../server/pg-wal.ts';
import type { ServerSession } from '../../server/session.ts';
import { askHourlyWal, lastHourInPgWal } from '../../server/wal-rate.ts';
import { formatBytes } from '../format-bytes.ts';
import { failedLook, item, notChecked, type CheckItem } from './check-item.ts';

/** An outage of the store fills `pg_wal`: an hour of WAL shall fit, and so many segments at least. */
const SEGMENTS = 64;
const MOST_SKEW_MS = 60_000;

export interface SpaceOptions {
  dataDirectory: string | undefined;
  segmentBytes: number | undefined;
  /** `undefined`: there is no connection, so the last hour in `pg_wal` has to tell. */
  session: ServerSession | undefined;
  clock: Clock;
}

export async function spaceCheck({ dataDirectory, segmentBytes, session, clock }: SpaceOptions): Promise<CheckItem> {
  const name = 'space for pg_wal';
  const always = SEGMENTS * (segmentBytes ?? 16 * 1024 * 1024);
  const expectedOf = (least: number): string =>
    `at least ${formatBytes(least)} free (${least > always ? 'an hour of WAL' : `${SEGMENTS} segments`})`;
  if (dataDirectory === undefined)
    return notChecked(name, 'the data directory is not known', expectedOf(always), 'Name it with -D.');
  try {
    const { bavail, bsize } = await statfs(join(dataDirectory, 'pg_wal')).catch((error: unknown) => {
      throw ioError('could not look at the filesystem of pg_wal', error);
    });
    const { files } = await readPgWal(dataDirectory);
    const asked = session === undefined ? undefined : await askHourlyWal(session);
    const least = Math.max(always, asked ?? 0, lastHourInPgWal(files, clock.now()));
    const free = bavail * bsize;
    const hint = 'Free space: while a store is down WAL stays here, and a full disk stops the server.';
    return item(name, free >= least, `${formatBytes(free)} free`, expectedOf(least), free >= least ? undefined : hint);
  } catch (error) {
    return failedLook(name, expectedOf(always), error);
  }
}

/** Commit times come from the server's clock, targets from the operator's. */
export async function clockCheck(session: ServerSession | undefined, clock: Clock): Promise<CheckItem> {
  const name = 'clock of the server';
  const expected = `within ${MOST_SKEW_MS / 1000} s of this machine's`;
  if (session === undefined)
    return notChecked(name, 'there is no connection to the server', expected, 'Name the server with -d.');
  try {
    const asked = clock.now();
    const { at } = await session.row('ask for the time', 'select extract(epoch from clock_timestamp())::float8 as at');
    const skewMs = Number(at) * 1000 - (asked + clock.now()) / 2;
    const ok = Math.abs(skewMs) <= MOST_SKEW_MS;
    const hint = ok ? undefined : 'Set the clocks right (NTP): recovery to a time goes by them.';
    return item(name, ok, `${Math.round(Math.abs(skewMs) / 100) / 10} s apart`, expected, hint);
  } catch (error) {
    return failedLook(name, expected, error);
  }
}
