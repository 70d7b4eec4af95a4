import { readFileSync, statSync } from 'node:fs';
import { ioError } from '../../base/errors.ts';
import type { ConfigRecord } from '../../repository/backup-record.ts';
import { configKey, type BackupId } from '../../repository/layout.ts';
import { outsideConfig } from '../../server/outside-config.ts';
import { beginObject, type BackupRun } from './backup-run.ts';
import { writeMembers, type Member } from './write-members.ts';

/** Stores the configuration that lies outside the data directory. `undefined`: there is none. */
export async function storeConfig(run: BackupRun, id: BackupId): Promise<ConfigRecord | undefined> {
  const { facts, dataDirectory } = run.source;
  const config = outsideConfig(facts, dataDirectory);
  if (config === undefined) return undefined;
  const at = new Date(run.context.clock.now());
  const writer = beginObject(run, { id, key: configKey(id), kind: 'backup-config', at });
  writeMembers(config.files.map(memberOf), { writer, part: 0, names: run.names });
  const { plainBytes, storedBytes, sha256, crc32c } = await writer.finish();
  return { plainBytes, storedBytes, sha256, crc32c, ...config };
}

/** Named by its absolute path, without the slash that tar would warn about. */
function memberOf(path: string): Member {
  try {
    const { mode, uid, gid, mtimeMs } = statSync(path);
    const modifiedAt = Math.floor(mtimeMs / 1000);
    return { path: path.slice(1), content: readFileSync(path), mode, uid, gid, modifiedAt };
  } catch (error) {
    throw ioError(`could not read ${path}`, error);
  }
}
