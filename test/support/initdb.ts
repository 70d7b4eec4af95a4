import { join } from 'node:path';
import type { PostgresBinaries } from '../../scripts/find-postgres.ts';
import type { Account } from '../../scripts/server-user.ts';
import { runOk } from './run.ts';
import { appendSettings, TEST_SETTINGS, type Settings } from './server-settings.ts';

export interface InitOptions {
  /** WAL segment size in MiB. */
  segmentMb?: number;
  /** Page checksums; on unless told, whatever the version's own default is. */
  checksums?: boolean;
  /** On top of {@link TEST_SETTINGS}. */
  settings?: Settings;
}

/** Makes a data directory whose superuser `postgres` needs no password. The folder must not exist or be empty. */
export async function initdb(
  postgres: PostgresBinaries,
  account: Account,
  dataDir: string,
  { segmentMb = 16, checksums = true, settings = {} }: InitOptions,
): Promise<void> {
  const args = ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N'];
  args.push(`--wal-segsize=${segmentMb}`);
  if (checksums) args.push('--data-checksums');
  else if (postgres.major >= 18) args.push('--no-data-checksums');
  await runOk(account, [join(postgres.bin, 'initdb'), ...args]);
  // A few segments are plenty, and small ones should not be kept by the dozen.
  const sizes = { min_wal_size: `${segmentMb * 2}MB`, max_wal_size: `${Math.max(64, segmentMb * 8)}MB` };
  await appendSettings(join(dataDir, 'postgresql.conf'), { ...TEST_SETTINGS, ...sizes, ...settings });
}
