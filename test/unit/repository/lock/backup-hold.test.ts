import { beforeEach, describe, expect, it } from 'vitest';
import { WalholdError } from '../../../../src/base/errors.ts';
import { IDENTITY_KEY, parseBackupId, type BackupId } from '../../../../src/repository/layout.ts';
import { holdBackup, releaseBackup } from '../../../../src/repository/lock/backup-hold.ts';
import { keyOf, LockedArchive } from '../../../support/locked-archive.ts';

const options = { signal: new AbortController().signal, jobs: 2, by: 'a test' };

let archive: LockedArchive;
let one: BackupId;
let two: BackupId;
beforeEach(async () => {
  archive = new LockedArchive();
  await archive.putWal(0, 20);
  one = parseBackupId(await archive.putBackup(4)) as BackupId;
  archive.pass(1);
  // The first one ends in the segment in which this one begins.
  two = parseBackupId(await archive.putBackup(5)) as BackupId;
});

const hold = (id: BackupId): Promise<unknown> =>
  holdBackup(archive.repository, id, { ...options, clock: archive.clock });
const release = (id: BackupId): ReturnType<typeof releaseBackup> =>
  releaseBackup(archive.repository, id, { ...options, clock: archive.clock });
/** Keys of all that is held, marks aside. */
const held = (): string[] =>
  [...archive.bucket.objects]
    .filter(([key, [version]]) => version?.hold === true && !key.startsWith('lock/'))
    .map(([key]) => key)
    .sort();
const objectsOf = (id: string): string[] =>
  ['backup.json', 'backup_manifest.zst', 'part-1.tar.zst', 'part-2.tar.zst'].map((name) => `backup/${id}/${name}`);

describe('hold', () => {
  it('holds all that a restore of the backup needs, and nothing else', async () => {
    await hold(one);
    expect(held()).toEqual([...objectsOf(one), keyOf(4), keyOf(5), IDENTITY_KEY].sort());
  });

  it('can be repeated', async () => {
    await hold(one);
    await expect(hold(one)).resolves.toMatchObject({ objects: 7 });
  });

  it('says that there is no such backup', async () => {
    await expect(hold('20200101T000000Z-full' as BackupId)).rejects.toMatchObject({ code: 'not-found' });
    expect(held()).toEqual([]);
  });

  it('is refused on files', async () => {
    const repository = { ...archive.repository, settings: { scheme: 'file' as const, path: '/x' } };
    const call = holdBackup(repository, one, { ...options, clock: archive.clock });
    await expect(call).rejects.toMatchObject({ code: 'unsupported', detail: 'holds are not supported on files' });
  });
});

describe('release', () => {
  it('lets go of all that was held', async () => {
    await hold(one);
    expect(await release(one)).toMatchObject({ objects: 7, sharedWith: [] });
    expect(held()).toEqual([]);
  });

  it('leaves what another held backup needs', async () => {
    await hold(one);
    await hold(two);
    expect(await release(one)).toMatchObject({ sharedWith: [two] });
    expect(held()).toEqual([...objectsOf(two), keyOf(5), keyOf(6), IDENTITY_KEY].sort());
    await release(two);
    expect(held()).toEqual([]);
  });

  it('leaves what another backup needs that is being held, however far that has come', async () => {
    await hold(one);
    archive.bucket.fault = (request) =>
      request.startsWith(`hold ${keyOf(6)}`) ? new WalholdError('unreachable', 'no answer') : undefined;
    await expect(hold(two)).rejects.toMatchObject({ code: 'unreachable' });
    archive.bucket.fault = () => undefined;
    await release(one);
    expect(held()).toContain(keyOf(5));
  });

  it('goes on where a broken-off run ended', async () => {
    await hold(one);
    archive.bucket.fault = (request) =>
      request.startsWith(`hold ${keyOf(5)}`) ? new WalholdError('unreachable', 'no answer') : undefined;
    await expect(release(one)).rejects.toMatchObject({ code: 'unreachable' });
    archive.bucket.fault = () => undefined;
    await release(one);
    expect(held()).toEqual([]);
  });

  it('believes no mark that is not held itself', async () => {
    await hold(one);
    await archive.bucket.put(`lock/hold/${two}.json`, '{}');
    expect(await release(one)).toMatchObject({ sharedWith: [] });
    expect(held()).toEqual([]);
  });
});
