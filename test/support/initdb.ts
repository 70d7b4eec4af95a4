import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { PostgresBinaries } from '../../scripts/find-postgres.ts';
import type { Account } from '../../scripts/server-user.ts';
import { clusterTemplate } from './cluster-template.ts';
import { runOk } from './run.ts';
import { appendSettings, TEST_SETTINGS, type Settings } from './server-settings.ts';
import { setSystemIdentifier } from './system-identifier.ts';

export interface InitOptions {
  /** WAL segment size in MiB. */
  segmentMb?: number;
  /** Page checksums; on unless told, whatever the version's own default is. */
  checksums?: boolean;
  /** On top of {@link TEST_SETTINGS}. */
  settings?: Settings;
}

/**
 * Makes a data directory whose superuser `postgres` needs no password, under a system identifier of its own. The folder must not exist or
 * be empty.
 */
export async function initdb(
  postgres: PostgresBinaries,
  account: Account,
  dataDir: string,
  { segmentMb = 16, checksums = true, settings = {} }: InitOptions,
): Promise<void> {
  const args = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N'];
  args.push(`--wal-segsize=${segmentMb}`);
  if (checksums) args.push('--data-checksums');
  else if (postgres.major >= 18) args.push('--no-data-checksums');
  const template = await clusterTemplate(postgres, account, args);
  await runOk(account, ['cp', '-R', '--preserve=mode', join(template, '.'), dataDir]);
  await setSystemIdentifier(dataDir, newSystemIdentifier());
  // A few segments are plenty, and small ones should not be kept by the dozen.
  const sizes = { min_wal_size: `${segmentMb * 2}MB`, max_wal_size: `${Math.max(64, segmentMb * 8)}MB` };
  await appendSettings(join(dataDir, 'postgresql.conf'), { ...TEST_SETTINGS, ...sizes, ...settings });
}

/** Seconds and chance; the server (BootStrapXLOG, access/transam/xlog.c) takes microseconds and its process number. */
function newSystemIdentifier(): bigint {
  return (BigInt(Math.floor(Date.now() / 1000)) << 32n) | BigInt(randomBytes(4).readUInt32LE());
}
