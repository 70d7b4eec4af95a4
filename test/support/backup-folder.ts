import { chown, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Archived } from './archived-cluster.ts';

/** What tests look at in `backup.json`; read without walhold's code. */
export interface RecordJson {
  id: string;
  type: string;
  parent: string | null;
  label: string;
  timeline: number;
  startedAt: string;
  stoppedAt: string;
  startLsn: string;
  stopLsn: string;
  tablespaces: { oid: string; path: string }[];
  walRequired: { first: string; last: string };
  config: { configFile?: string; hbaFile?: string; identFile?: string; files: string[] } | null;
  badPages: { path: string; block: number }[];
  badPageCount: number;
  settings: Record<string, string>;
  sizeBytes: number;
  storedBytes: number;
  server: { inRecovery: boolean; dataChecksums: boolean };
  parts: { name: string; frames: (string | number)[][] }[];
}

/** A backup's folder in a repository of files. */
export function backupFolder({ repository }: Pick<Archived, 'repository'>, id: string): string {
  return join(repository, 'backup', id);
}

export async function recordOf(archived: Pick<Archived, 'repository'>, id: string): Promise<RecordJson> {
  return JSON.parse(await readFile(join(backupFolder(archived, id), 'backup.json'), 'utf8')) as RecordJson;
}

/** The ids of whatever lies under `backup/`, begun or complete. */
export async function begunBackups({ repository }: Pick<Archived, 'repository'>): Promise<string[]> {
  const names = await readdir(join(repository, 'backup')).catch((): string[] => []);
  return names.toSorted();
}

/** What `tar` and `zstd` make of a backup, without walhold: a new folder in the cluster's place. */
export async function extracted({ cluster, repository }: Archived, id: string): Promise<string> {
  const folder = await mkdtemp(join(cluster.place.path, `extracted-${id}-`));
  await chown(folder, cluster.user.uid, cluster.user.gid);
  const script = `
    for part in "$1"/part-*.tar.zst; do zstd -dc "$part" | tar -x -p -C "$2" || exit 1; done
    zstd -dc "$1/backup_manifest.zst" > "$2/backup_manifest"`;
  const { stderr } = await cluster.runOk(['sh', '-c', script, 'sh', backupFolder({ repository }, id), folder]);
  if (stderr !== '') throw new Error(`tar or zstd complained: ${stderr}`);
  return folder;
}
