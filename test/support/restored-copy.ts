import { join } from 'node:path';
import { emptyCluster, walholdOk, type Archived } from './archived-cluster.ts';
import { recordOf } from './backup-folder.ts';
import type { Cluster } from './cluster.ts';

/** A backup as `walhold restore` gives it, before anything is replayed; tablespaces lie beside it. */
export async function restoredCopy(archived: Archived, id: string): Promise<Cluster> {
  const { cluster, config } = archived;
  const copy = await emptyCluster(cluster, 'copy');
  try {
    const { tablespaces } = await recordOf(archived, id);
    const spaces = tablespaces.flatMap(({ oid, path }) => ['-T', `${path}=${join(copy.place.path, oid)}`]);
    const to = ['--backup', id, '--target-immediate', '--target-action', 'promote'];
    await walholdOk(cluster, config, ['restore', '-D', copy.dataDir, ...to, ...spaces]);
    return copy;
  } catch (error) {
    await copy[Symbol.asyncDispose]();
    throw error;
  }
}

/** To the end of its backup, and nobody connects meanwhile. It archives nothing. */
export async function recover(copy: Cluster): Promise<void> {
  await copy.configure({ archive_mode: 'off' });
  await copy.start({ until: 'nothing' });
  await copy.waitForLog(/database system is ready to accept connections/);
  await copy.stop();
}
