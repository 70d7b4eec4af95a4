import { existsSync, readdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError } from '../base/errors.ts';

/** Whether a primary says that it has archived this segment, which it once had: by its note, or by having let the segment go. */
export function isArchived(dataDirectory: string, segment: string): boolean {
  const wal = join(dataDirectory, 'pg_wal');
  if (existsSync(join(wal, 'archive_status', `${segment}.done`))) return true;
  return !existsSync(join(wal, segment)) && !existsSync(join(wal, 'archive_status', `${segment}.ready`));
}

/** The segments in `pg_wal` that are not archived, those not yet in use included. Throws `io`. */
export function unarchivedSegments(dataDirectory: string): Set<string> {
  try {
    const names = readdirSync(join(dataDirectory, 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name));
    return new Set(names.filter((name) => !isArchived(dataDirectory, name)));
  } catch (error) {
    throw ioError(`could not read ${join(dataDirectory, 'pg_wal')}`, error);
  }
}

/** The names of what waits for the archiver, in no order. Throws `io`. */
export async function readyNames(dataDirectory: string): Promise<string[]> {
  const path = join(dataDirectory, 'pg_wal', 'archive_status');
  try {
    const names = await readdir(path);
    return names.filter((name) => name.endsWith(READY)).map((name) => name.slice(0, -READY.length));
  } catch (error) {
    throw ioError(`could not list ${path}`, error);
  }
}

const READY = '.ready';
