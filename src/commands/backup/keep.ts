import { WalholdError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Config, RepositoryConfig } from '../../config/config.ts';
import { parseTime } from '../../postgres/units.ts';

/** For how long a backup is kept whatever its turn is. */
export type Keep = { forMs: number } | 'forever';

/** Reads `--keep`. Throws `usage`. */
export function parseKeep(text: string): Keep {
  if (text === 'forever') return text;
  const time = parseTime(text, 's');
  const detail = time.ok ? (time.value === 0 ? 'it is nothing' : undefined) : time.message;
  if (time.ok && detail === undefined) return { forMs: time.value };
  throw new WalholdError('usage', 'bad value for --keep', {
    ...(detail === undefined ? {} : { detail }),
    hint: 'Write a time, as 90d, or "forever".',
  });
}

/** As `backup.json` says it. */
export function keepUntil(keep: Keep | undefined, now: number): string | undefined {
  if (keep === undefined || keep === 'forever') return keep;
  return new Date(Math.min(now + keep.forMs, LATEST_MS)).toISOString();
}

/** The last moment with a year of four digits. */
const LATEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/**
 * The settings with locks so long, as far as `lock_max` allows: every object of this backup is then created with them. Its WAL
 * is stored by others; `lock extend` lengthens what of it the backup needs.
 */
export function withLongerLocks<C extends Pick<Config, 'repositories'>>(config: C, keep: Keep | undefined): C {
  if (keep === undefined) return config;
  const forMs = keep === 'forever' ? Infinity : keep.forMs;
  const longer = (one: RepositoryConfig): RepositoryConfig => {
    const { lock } = one;
    // The bucket's own default is as long as it is.
    if (lock === undefined || lock.mode === 'bucket') return one;
    return { ...one, lock: { ...lock, periodMs: Math.max(lock.periodMs, Math.min(forMs, lock.maxMs)) } };
  };
  const [first, ...others] = config.repositories;
  return { ...config, repositories: [longer(first), ...others.map(longer)] };
}

/** An incremental backup is worth nothing without what it builds on, whose locks are as long as they were made. */
export function tellOfParents(
  log: Log,
  { repositories }: Pick<Config, 'repositories'>,
  keep: Keep,
  parent: string,
): void {
  if (repositories.every(({ lock }) => lock === undefined)) return;
  const span = keep === 'forever' ? 'for ever' : 'for as long';
  log.warning(`${parent}, which this backup builds on, is kept ${span} too, but its locks may be shorter`, {
    hint: 'Run "walhold lock extend", which lengthens them; until then "walhold lock status" names what is locked too short.',
  });
}
