import { chown, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupRecord } from '../../src/repository/backup-record.ts';
import { callCompanion, type CompanionResult } from './companion-call.ts';
import { FileRepository, SYSTEM_ID } from './file-repository.ts';
import { putSegments } from './made-segments.ts';
import { controlFile } from './pretend-cluster.ts';
import { inSegment, putBackup, type BackupOptions, type Contents } from './stored-backup.ts';

export const BACKUP_ID = '20261122T174500Z-full';
const NOBODY = 65_534;

/** A data directory as small as a restore will take it. */
export const SMALL_CLUSTER: Contents = {
  PG_VERSION: '15\n',
  backup_label: 'a label\n',
  'base/1/1259': 'a table'.repeat(3000),
  'base/1/empty': '',
  'postgresql.conf': 'port = 5432\n',
  'postgresql.auto.conf': "recovery_target_name = 'old'\nwork_mem = '8MB'\n",
  'global/pg_control': controlFile(SYSTEM_ID, 1024 * 1024),
};

/** A repository with one backup and WAL from segment 2 to 8, and a place to restore into. */
export class RestorePlace implements AsyncDisposable {
  readonly stored: FileRepository;
  readonly root: string;
  /** Empty, and not root's: a restore by root gives everything to its owner. */
  readonly target: string;

  private constructor(stored: FileRepository, root: string) {
    this.stored = stored;
    this.root = root;
    this.target = join(root, 'target');
  }

  static async create(): Promise<RestorePlace> {
    const stored = await FileRepository.create();
    await putSegments(stored, 2, 8);
    const place = new RestorePlace(stored, await mkdtemp(join(tmpdir(), 'walhold-restore-')));
    await mkdir(place.target);
    if (process.getuid?.() === 0) await chown(place.target, NOBODY, NOBODY);
    return place;
  }

  async putBackup(
    options: Partial<BackupOptions> = {},
    change?: (record: BackupRecord) => BackupRecord,
  ): Promise<BackupRecord> {
    const { 'global/pg_control': control, ...others } = SMALL_CLUSTER;
    const parts: readonly Contents[] = [others, { 'global/pg_control': control ?? '' }];
    const points = { startLsn: inSegment(3), stopLsn: inSegment(4, 400) };
    return await putBackup(this.stored, { ...points, parts, ...options }, change);
  }

  async restore(...flags: string[]): Promise<CompanionResult> {
    return await callCompanion([
      'restore',
      '-D',
      this.target,
      '--repo',
      `file://${this.stored.root}`,
      '-j',
      '2',
      ...flags,
    ]);
  }

  /** Every path below the target, in order. */
  async made(): Promise<string[]> {
    return (await readdir(this.target, { recursive: true })).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stored[Symbol.asyncDispose]();
    await rm(this.root, { recursive: true, force: true });
  }
}
