import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Archived } from './archived-cluster.ts';
import { backupFolder, begunBackups } from './backup-folder.ts';
import type { Cluster } from './cluster.ts';
import { SlowBackup } from './slow-backup.ts';
import { waitFor } from './wait-for.ts';

/** Small parts, so that some are stored when a small cluster's backup is killed. */
export const SMALL_PARTS = { part_size: '1MB' };
const SLOWLY = ['--max-rate', '8M'];

type Source = Omit<Archived, keyof AsyncDisposable>;

/** Kills a backup when more than so many of its objects are stored; its id. */
export async function interruptedBackup(
  archived: Source,
  objects = 5,
  flags: readonly string[] = SLOWLY,
): Promise<string> {
  const before = await begunBackups(archived);
  await using slow = await SlowBackup.start(archived, flags);
  const begun = async (): Promise<string | undefined> =>
    (await begunBackups(archived)).find((one) => !before.includes(one));
  const id = await waitFor(begun, { what: 'the backup to begin' });
  const isFar = async (): Promise<boolean> => (await readdir(backupFolder(archived, id))).length > objects;
  await waitFor(isFar, { what: 'some parts', everyMs: 5 });
  slow.kill('SIGKILL');
  await slow.ended();
  await waitFor(async () => !(await hasBackupSession(archived.cluster)), { what: 'the session to end' });
  return id;
}

/** Each object of the backup. */
export async function objectDigests(
  archived: Pick<Archived, 'repository'>,
  id: string,
): Promise<Record<string, string>> {
  const folder = backupFolder(archived, id);
  const found: Record<string, string> = {};
  for (const name of await readdir(folder)) {
    found[name] = createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex');
  }
  return found;
}

async function hasBackupSession(cluster: Cluster): Promise<boolean> {
  const sql = `select exists (select from pg_stat_activity where application_name = 'walhold')`;
  return await cluster.value<boolean>(sql);
}
