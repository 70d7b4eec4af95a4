import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SILENT } from '../../../src/base/log.ts';
import type { RepoCopyJson } from '../../../src/commands/repo-copy.ts';
import { copyBackup } from '../../../src/commands/repo-copy/copy-backup.ts';
import { CopyReport, type CopyRun } from '../../../src/commands/repo-copy/copy-run.ts';
import { copyWal } from '../../../src/commands/repo-copy/copy-wal.ts';
import { parseBackupId, type BackupId } from '../../../src/repository/layout.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { fileStore } from '../../../src/store/file.ts';
import type { Store, StoreVersions } from '../../../src/store/store.ts';
import { withVersions } from '../../../src/store/with-versions.ts';
import { callCompanion, jsonOf } from '../../support/companion-call.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { memoryRepository, preparedWal } from '../../support/memory-repository.ts';
import { nameOf, putSegments, segmentBytes } from '../../support/made-segments.ts';
import { VersionedMemoryBucket } from '../../support/versioned-memory-store.ts';
import { inSegment, putBackup } from '../../support/stored-backup.ts';

const ID = '20261122T174500Z-full';
const PART = `backup/${ID}/part-2.tar.zst`;
const RECORD = `backup/${ID}/backup.json`;
const HISTORY = '1\t0/500000\tno reason\n';
const walKey = (segno: number): string => `wal/00000001/0000000100000000/${nameOf(segno)}.zst`;
/** Five segments, a history, two parts, a manifest and a record. */
const OBJECTS = 10;

let top: string;
let target: string;
let source: FileRepository;
beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'walhold-copy-'));
  target = join(top, 'second');
  source = await FileRepository.create();
  await putSegments(source, 2, 6);
  await source.putWal('00000002.history', HISTORY);
  await putBackup(source, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
});
afterEach(async () => {
  await source[Symbol.asyncDispose]();
  await rm(top, { recursive: true, force: true });
});

/** Progress would come between the lines of the test's own report. */
beforeEach(() => void vi.spyOn(process.stderr, 'write').mockReturnValue(true));
afterEach(() => void vi.restoreAllMocks());

async function copy(...flags: string[]): Promise<RepoCopyJson & { status: number; stderr: string }> {
  const places = ['--repo', `file://${source.root}`, '--repo2', `file://${target}`];
  const result = await callCompanion(['repo', 'copy', '--from', '1', '--to', '2', '--json', ...places, ...flags]);
  if (result.stdout === '') throw new Error(result.stderr);
  return { ...jsonOf<RepoCopyJson>(result), status: result.status, stderr: result.stderr };
}

/** Every file below a repository by its name; what is hidden is not part of it. */
async function filesIn(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !path.includes('/.')) found[path.slice(root.length + 1)] = await readFile(path, 'base64');
  }
  return found;
}

async function flip(root: string, key: string, from: number): Promise<void> {
  const bytes = await readFile(join(root, key));
  const at = from < 0 ? bytes.length + from : from;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await rm(join(root, key));
  await writeFile(join(root, key), bytes);
}

describe('copying a repository', () => {
  it('makes an exact copy in a new place, which verifies', async () => {
    expect(await copy()).toMatchObject({ copied: OBJECTS, present: 0, conflicts: [], damaged: [], status: 0 });
    expect(await filesIn(target)).toEqual(await filesIn(source.root));
    expect(await callCompanion(['verify', '--repo', `file://${target}`])).toMatchObject({ status: 0 });
  });

  it('sends nothing twice, with and without a look at the contents', async () => {
    const { bytes } = await copy();
    expect(bytes).toBeGreaterThan(0);
    expect(await copy()).toMatchObject({ copied: 0, present: OBJECTS, bytes: 0 });
    expect(await copy('--quick')).toMatchObject({ copied: 0, present: OBJECTS, bytes: 0 });
  });

  it('fills what an outage left out', async () => {
    await copy();
    for (const key of [walKey(4), PART, RECORD]) await rm(join(target, key));
    expect(await copy('--quick')).toMatchObject({ copied: 3, present: OBJECTS - 3 });
    expect(await filesIn(target)).toEqual(await filesIn(source.root));
  });

  it('only counts when it is to, and makes nothing', async () => {
    const { copied, bytes } = await copy('--dry-run');
    await expect(readdir(target)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await copy()).toMatchObject({ copied, bytes });
    expect(await copy('--dry-run')).toMatchObject({ copied: 0, present: OBJECTS, bytes: 0, status: 0 });
  });

  it('takes the same content for the same, however it was compressed and whoever stored it', async () => {
    await copy();
    const other = preparedWal(nameOf(4), segmentBytes(4), { level: 9 });
    const wasStored = await readFile(join(target, walKey(4)));
    await rm(join(target, walKey(4)));
    await writeFile(join(target, walKey(4)), other.encoded.bytes);
    expect(wasStored.equals(other.encoded.bytes)).toBe(false);
    expect(await copy()).toMatchObject({ copied: 0, present: OBJECTS, conflicts: [], status: 0 });
  });

  it.each([['--dry-run'], ['-P']])('reports other content under a name, and never touches it (%s)', async (flag) => {
    await copy();
    const squatters: Record<string, Buffer> = {
      [walKey(3)]: preparedWal(nameOf(5), segmentBytes(5)).encoded.bytes as Buffer,
      [walKey(4)]: Buffer.from('junk'),
      'wal/00000002.history.zst': preparedWal('00000002.history', Buffer.from('1\t0/600000\tanother\n')).encoded
        .bytes as Buffer,
    };
    for (const [key, bytes] of Object.entries(squatters)) {
      await rm(join(target, key));
      await writeFile(join(target, key), bytes);
    }
    await flip(target, PART, -500);
    const { conflicts, damaged, present, status } = await copy(flag);
    expect(conflicts.map(({ object }) => object).toSorted()).toEqual([PART, ...Object.keys(squatters)].toSorted());
    // The record was there; it is looked at only when all before it is right.
    expect({ damaged, present, status }).toEqual({ damaged: [], present: OBJECTS - 5, status: 1 });
    const files = await filesIn(target);
    for (const [key, bytes] of Object.entries(squatters)) expect(files[key]).toBe(bytes.toString('base64'));
  });

  it.each<[what: string, key: string, at: number]>([
    ['a segment', walKey(4), -9],
    ['a segment that is read for its size', walKey(2), 30],
    ['a part', PART, 100],
    ["a part's end", PART, -900],
    ['a manifest', `backup/${ID}/backup_manifest.zst`, -20],
  ])('reports %s that is damaged, copies the rest, and calls no backup whole that is not', async (_, key, at) => {
    await flip(source.root, key, at);
    const { damaged, conflicts, copied, status } = await copy();
    const ofBackup = key.startsWith('backup/');
    expect(damaged).toMatchObject([{ code: 'damaged', object: key }]);
    expect({ conflicts, copied, status }).toEqual({ conflicts: [], copied: OBJECTS - (ofBackup ? 2 : 1), status: 1 });
    const files = await filesIn(target);
    expect(files[key]).toBeUndefined();
    expect(files[RECORD] === undefined).toBe(ofBackup);
  });

  it('reports a sound segment under another name', async () => {
    await source.put(walKey(4), preparedWal(nameOf(5), segmentBytes(5)).encoded.bytes);
    const { damaged } = await copy();
    expect(damaged).toMatchObject([{ object: walKey(4), message: expect.stringContaining(`segment ${nameOf(5)}`) }]);
  });

  it('copies nothing of an upload that did not end', async () => {
    await rm(join(source.root, RECORD));
    const { copied, status, stderr } = await copy();
    expect({ copied, status }).toEqual({ copied: 6, status: 0 });
    expect(stderr).toContain('did not end');
  });

  it('refuses a place of another cluster, one that is no repository, and itself', async () => {
    await using other = await FileRepository.create(2);
    await other.put('walhold.json', '{"format":1,"systemId":"1","createdAt":"2026-01-01T00:00:00.000Z","by":"x"}');
    const call = async (...flags: string[]): Promise<string> => {
      const argv = ['repo', 'copy', '--repo', `file://${source.root}`, '--repo2', `file://${other.root}`, ...flags];
      const { status, stderr } = await callCompanion(argv);
      return `${status} ${stderr}`;
    };
    for (const dry of [[], ['--dry-run']]) {
      expect(await call('--from', '1', '--to', '2', ...dry)).toMatch(/^1 .*belongs to another cluster/);
    }
    await rm(join(other.root, 'walhold.json'));
    await other.put('notes.txt', 'mine');
    for (const dry of [[], ['--dry-run']]) {
      expect(await call('--from', '1', '--to', '2', ...dry)).toMatch(/^1 .*not, or no longer, a repository/);
    }
    expect(await call('--from', '2', '--to', '2')).toMatch(/^2 .*the same repository/);
    expect(await call('--from', '1', '--to', '3')).toMatch(/^2 .*not configured/);
    expect(await call('--from', '0', '--to', '1')).toMatch(/^2 /);
    expect(await call('--from', '1')).toMatch(/^2 /);
  });
});

describe('the order of a copy', () => {
  const into = (repository: Repository, signal = new AbortController().signal): CopyRun => {
    const settings = { systemId: SYSTEM_ID, jobs: 2, quick: false, dryRun: false, log: SILENT, signal };
    return { source: source.repository, target: repository, report: new CopyReport(), ...settings };
  };

  it('is history files, then segments, and of a backup its record last', async () => {
    const { memory, repository } = memoryRepository({ number: 2 });
    await copyWal({ ...into(repository), segmentBytes: 1024 * 1024 });
    await copyBackup(into(repository), parseBackupId(ID) as BackupId, new Set());
    const created = memory.calls.filter((call) => call.startsWith('create ')).map((call) => call.slice(7));
    expect(created[0]).toBe('wal/00000002.history.zst');
    expect(created.slice(1, 6).toSorted()).toEqual([2, 3, 4, 5, 6].map(walKey));
    expect(created.at(-1)).toBe(RECORD);
    expect(created).toHaveLength(OBJECTS);
  });

  it('is taken up again where it was broken off', async () => {
    const { memory, repository } = memoryRepository({ number: 2 });
    const { store } = repository;
    let left = 4;
    const dying = {
      ...store,
      create: (...call: Parameters<typeof store.create>) => {
        if ((left -= 1) < 0) throw new Error('killed');
        return store.create(...call);
      },
    };
    const wal = { ...into({ ...repository, store: dying }), segmentBytes: 1024 * 1024 };
    await expect(copyWal(wal)).rejects.toThrow('killed');
    const run = into(repository);
    await copyWal({ ...run, segmentBytes: 1024 * 1024 });
    await copyBackup(run, parseBackupId(ID) as BackupId, new Set());
    expect([run.report.copied, run.report.present]).toEqual([OBJECTS - 4, 4]);
    expect(run.report.conflicts).toEqual([]);
    expect(memory.objects.size).toBe(OBJECTS + 1);
  });

  it.each([
    [
      'before it came',
      (bucket: VersionedMemoryBucket, key: string, bytes: Buffer) => {
        bucket.put(key, 'squatted');
        bucket.put(key, bytes);
      },
    ],
    [
      'after it',
      (bucket: VersionedMemoryBucket, key: string, bytes: Buffer) => {
        bucket.put(key, bytes);
        bucket.put(key, 'a cover');
        bucket.hide(key);
      },
    ],
  ])('is not led astray by what somebody put under each name %s', async (_, meddle) => {
    const bucket = new VersionedMemoryBucket();
    for (const [key, text] of Object.entries(await filesIn(source.root))) {
      if (key === 'walhold.json') bucket.put(key, Buffer.from(text, 'base64'));
      else meddle(bucket, key, Buffer.from(text, 'base64'));
    }
    const tampered = { ...source.repository, store: withVersions(bucket.store as Store & { versions: StoreVersions }) };
    await mkdir(target);
    const run = { ...into({ ...source.repository, store: fileStore({ root: target }) }), source: tampered };
    await copyWal({ ...run, segmentBytes: 1024 * 1024 });
    await copyBackup(run, parseBackupId(ID) as BackupId, new Set());
    expect(run.report).toMatchObject({ copied: OBJECTS, conflicts: [], damaged: [] });
    const { 'walhold.json': _identity, ...files } = await filesIn(source.root);
    expect(await filesIn(target)).toEqual(files);
  });

  it("locks what it stores as the target's settings say", async () => {
    const lock = { mode: 'compliance' as const, periodMs: 86_400_000, maxMs: 86_400_000 };
    const { memory, repository } = memoryRepository({ number: 2, locks: 'kept', lock });
    await copyWal({ ...into(repository), segmentBytes: 1024 * 1024 });
    await copyBackup(into(repository), parseBackupId(ID) as BackupId, new Set());
    const unlocked = [...memory.objects].filter(([, versions]) => versions.some(({ retention }) => !retention));
    // This one lay there before.
    expect(unlocked.map(([key]) => key)).toEqual(['walhold.json']);
  });

  it('reads no contents of what the target has already', async () => {
    const { memory, repository } = memoryRepository({ number: 2 });
    const run = into(repository);
    await copyWal({ ...run, segmentBytes: 1024 * 1024 });
    const opened: number[] = [];
    const { store } = source.repository;
    const counting: typeof store.open = async (key, options) => {
      opened.push(options.range?.bytes ?? Infinity);
      return await store.open(key, options);
    };
    memory.calls.length = 0;
    const again = { ...run, source: { ...source.repository, store: { ...store, open: counting } } };
    await copyWal({ ...again, segmentBytes: 1024 * 1024 });
    expect(opened).toEqual([4096, 4096, 4096, 4096, 4096, 4096]);
    expect(memory.calls.filter((call) => call.startsWith('create'))).toEqual([]);
  });
});
