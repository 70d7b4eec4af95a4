import type { ConfigRecord } from '../../../repository/backup-record.ts';
import type { InterruptedBackup } from '../../../repository/interrupted-backup.ts';
import { configKey } from '../../../repository/layout.ts';
import { outsideConfig } from '../../../server/outside-config.ts';
import { ensureLocked } from '../../../store/lock-proof.ts';
import type { BackupRun } from '../backup-run.ts';
import type { Refusal } from '../backup-type.ts';
import { readStoredObject } from '../../../repository/stored-part.ts';

/**
 * The configuration that an earlier attempt stored, if the same files are the configuration now. `undefined` in `config`: there is
 * none outside the data directory, then as now.
 */
export async function readStoredConfig(
  run: BackupRun,
  { id, config: holders }: Pick<InterruptedBackup, 'id' | 'config'>,
): Promise<{ config: ConfigRecord | undefined } | Refusal> {
  const { source, repositories, signal } = run;
  const now = outsideConfig(source.facts, source.dataDirectory);
  const [first] = repositories;
  if (now === undefined && holders.length === 0) return { config: undefined };
  if (now === undefined || first === undefined || holders.length < repositories.length) return { why: MOVED };
  const object = { key: configKey(id), kind: 'backup-config' as const };
  const found: Awaited<ReturnType<typeof readStoredObject>>[] = [];
  for (const { store, url, lock } of repositories) {
    found.push(
      await readStoredObject({ store, url }, object, { signal, systemId: source.control.systemId, pages: undefined }),
    );
    if (lock !== undefined) await ensureLocked(store, object.key, lock, { signal });
  }
  const [stored] = found;
  if (stored === undefined || found.some((one) => one?.sha256 !== stored.sha256)) return { why: MOVED };
  const paths = stored.frames.flatMap(({ members }) => members.map(({ path }) => `/${path.toString()}`));
  if (paths.toSorted().join('\n') !== now.files.toSorted().join('\n')) return { why: MOVED };
  const { plainBytes, storedBytes, sha256, crc32c } = stored;
  return { config: { plainBytes, storedBytes, sha256, crc32c, ...now } };
}

const MOVED = 'the configuration outside the data directory has moved';
