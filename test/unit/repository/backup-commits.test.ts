import { beforeEach, describe, expect, it } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { formatBackupRecord } from '../../../src/repository/backup-record-format.ts';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';
import { readBackups } from '../../../src/repository/backups.ts';
import { backupId, commitKey, partKey, type BackupId } from '../../../src/repository/layout.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';
import { putBackup } from '../../support/stored-backup.ts';
import { repositoryOn } from '../../support/tampered-repository.ts';
import { VersionedMemoryBucket } from '../../support/versioned-memory-store.ts';

const { signal } = new AbortController();
const options = { signal, jobs: 4, systemId: SYSTEM_ID };
const template = await putBackup({ put: () => Promise.resolve() }, { startLsn: lsn(40n), stopLsn: lsn(80n) });

let bucket: VersionedMemoryBucket;
let repository: Repository;
beforeEach(() => {
  bucket = new VersionedMemoryBucket();
  repository = repositoryOn(bucket);
});

function idOf(n: number): BackupId {
  return backupId(new Date(Date.UTC(2026, 0, 1, n)), 'full');
}

/** With a label that tells which it is. */
function recordOf(n: number, change: Partial<BackupRecord> = {}): Buffer {
  return formatBackupRecord({ ...template, id: idOf(n), label: `number ${n}`, ...change });
}

function putBackups(count: number): void {
  for (let n = 0; n < count; n += 1) {
    for (const part of [1, 2, 3]) bucket.put(partKey(idOf(n), part), 'x');
    bucket.put(commitKey(idOf(n)), recordOf(n));
  }
}

async function labels(): Promise<string[]> {
  bucket.requests.length = 0;
  return (await readBackups([repository], options)).backups.map(({ summary }) => summary.label);
}

function listings(): number {
  return bucket.requests.filter((request) => request.startsWith('versions ')).length;
}

describe('the records of many backups in a bucket with versions', () => {
  it('are read by a bulk listing, not by one each', async () => {
    putBackups(200);
    expect(await labels()).toEqual(Array.from({ length: 200 }, (_, n) => `number ${n}`));
    expect(listings()).toBeLessThan(5);
    expect(bucket.requests.filter((request) => request.startsWith('open '))).toHaveLength(200);
  });

  it('are asked for one by one where they are few', async () => {
    putBackups(3);
    expect(await labels()).toHaveLength(3);
    expect(listings()).toBe(4);
  });

  it('are the oldest, whatever was put over them', async () => {
    putBackups(20);
    bucket.put(commitKey(idOf(7)), recordOf(7, { label: 'forged' }));
    bucket.hide(commitKey(idOf(8)));
    expect(await labels()).toEqual(Array.from({ length: 20 }, (_, n) => `number ${n}`));
    expect(repository.strangers.map(({ kind, key }) => [kind, key])).toEqual([
      ['later-version', commitKey(idOf(7))],
      ['delete-marker', commitKey(idOf(8))],
    ]);
  });

  it('are the oldest authentic ones where somebody came first', async () => {
    bucket.put(commitKey(idOf(7)), 'junk');
    bucket.put(commitKey(idOf(8)), recordOf(8, { server: { ...template.server, systemId: 7n } }));
    putBackups(20);
    expect(await labels()).toEqual(Array.from({ length: 20 }, (_, n) => `number ${n}`));
    expect(repository.strangers.filter(({ kind }) => kind === 'unauthentic')).toHaveLength(2);
  });

  it('are found when the version that was listed is gone meanwhile', async () => {
    const first = bucket.put(commitKey(idOf(7)), recordOf(7, { label: 'the first' }));
    putBackups(20);
    bucket.before = (request) => {
      if (request.startsWith(`open ${commitKey(idOf(7))}@${first}`)) bucket.expunge(commitKey(idOf(7)), first);
    };
    expect((await labels())[7]).toBe('number 7');
  });
});
