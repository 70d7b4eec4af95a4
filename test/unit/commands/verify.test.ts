import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { VerifyJson } from '../../../src/commands/verify.ts';
import { formatBackupRecord } from '../../../src/repository/backup-record-format.ts';
import { encodeObject } from '../../../src/repository/object-codec.ts';
import { callCompanion, jsonOf } from '../../support/companion-call.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { inSegment, putBackup } from '../../support/stored-backup.ts';
import { nameOf, putSegments, segmentBytes } from '../../support/made-segments.ts';

const ID = '20261122T174500Z-full';
const PART = `backup/${ID}/part-1.tar.zst`;
const MANIFEST = `backup/${ID}/backup_manifest.zst`;
const RECORD = `backup/${ID}/backup.json`;
const walKey = (segno: number): string => `wal/00000001/0000000100000000/${nameOf(segno)}.zst`;

let stored: FileRepository;
beforeEach(async () => {
  stored = await FileRepository.create();
  await putSegments(stored, 2, 8);
  await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
});
afterEach(async () => await stored[Symbol.asyncDispose]());

async function verify(...flags: string[]): Promise<VerifyJson & { status: number; stderr: string }> {
  const result = await callCompanion(['verify', '--json', '--repo', `file://${stored.root}`, ...flags]);
  if (result.stdout === '') throw new Error(result.stderr);
  return { ...jsonOf<VerifyJson>(result), status: result.status, stderr: result.stderr };
}

async function edit(key: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const path = join(stored.root, key);
  await writeFile(path, change(await readFile(path)));
}

const flipAt = (from: (bytes: Buffer) => number) => (bytes: Buffer) => {
  const at = from(bytes);
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  return bytes;
};

describe('verify', () => {
  it('reads every object of a sound repository and finds nothing', async () => {
    const result = await verify();
    expect(result).toMatchObject({ ok: true, problems: [], status: 0, stderr: '' });
    // Seven segments, two parts, the manifest.
    expect(result.checked.objects).toBe(10);
  });

  it('reads nothing when it is to be quick, and sees missing names all the same', async () => {
    await rm(join(stored.root, walKey(6)));
    await rm(join(stored.root, PART));
    expect(await verify('--quick')).toMatchObject({
      checked: { objects: 0, bytes: 0 },
      problems: [
        { code: 'missing-object', object: PART },
        { code: 'missing-segment', object: nameOf(6) },
      ],
      status: 1,
    });
  });

  it('tells programs how far it is, phase by phase', async () => {
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    let told: { phase: string; bytesDone: number; bytesTotal: number | null }[];
    try {
      expect(await verify('--progress-format', 'json')).toMatchObject({ ok: true, stderr: '' });
      told = write.mock.calls.map(([line]) => JSON.parse(String(line)) as (typeof told)[number]);
    } finally {
      write.mockRestore();
    }
    expect([...new Set(told.map(({ phase }) => phase))]).toEqual([
      'checking backups',
      'looking for WAL',
      'reading WAL',
    ]);
    const sizes = await Promise.all(
      [2, 3, 4, 5, 6, 7, 8].map(async (segno) => (await stat(join(stored.root, walKey(segno)))).size),
    );
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(told.at(-1)).toMatchObject({ bytesDone: bytes, bytesTotal: bytes });
  });

  it('reads in t slices what one run reads, each object once', async () => {
    const all = await verify();
    const slices = [await verify('--slice', '1/3'), await verify('--slice', '2/3'), await verify('--slice', '3/3')];
    const sum = slices.reduce((total, { checked }) => total + checked.objects, 0);
    // The manifest is read by each, to hold the parts against it.
    expect(sum).toBe(all.checked.objects + 2);
    expect(slices.every(({ checked }) => checked.objects < all.checked.objects)).toBe(true);
  });

  it('names what a backup needs to become consistent and a hole after it, and not what lies before it', async () => {
    for (const segno of [3, 4, 6, 7]) await rm(join(stored.root, walKey(segno)));
    const { problems } = await verify('--quick');
    expect(problems.map(({ code, object }) => [code, object])).toEqual(
      [3, 4, 6, 7].map((segno) => ['missing-segment', nameOf(segno)]),
    );
  });

  it('misses the first segment of a backup though nothing is stored before it', async () => {
    for (const segno of [2, 3]) await rm(join(stored.root, walKey(segno)));
    const { problems } = await verify('--quick');
    expect(problems).toMatchObject([{ code: 'missing-segment', object: nameOf(3) }]);
    expect(problems[0]?.message).toContain('cannot become consistent without it');
  });

  it('does not mind a hole before the oldest backup', async () => {
    await putSegments(stored, 1, 1);
    await rm(join(stored.root, walKey(2)));
    expect(await verify('--quick')).toMatchObject({ ok: true });
  });

  it('misses a history file below the newest timeline', async () => {
    await stored.putWal('00000003.history', '1\t0/500000\tno reason\n2\t0/600000\tno reason\n');
    expect((await verify('--quick')).problems).toMatchObject([{ code: 'missing-history', object: '00000002.history' }]);
  });

  it('does not list an upload that did not end', async () => {
    await rm(join(stored.root, RECORD));
    expect(await verify()).toMatchObject({ ok: true, problems: [] });
  });

  const damages: [what: string, key: string, change: (bytes: Buffer) => Buffer][] = [
    ['a bit in the head of a segment', walKey(5), flipAt(() => 30)],
    ['a bit in the content of a segment', walKey(5), flipAt((bytes) => bytes.length - 9)],
    ['a segment cut short', walKey(5), (bytes) => bytes.subarray(0, -3)],
    ['an empty segment', walKey(5), () => Buffer.alloc(0)],
    ['bytes after a segment', walKey(5), (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
    ['a bit in a part', PART, flipAt(() => 100)],
    ['a bit in the tail of a part', PART, flipAt((bytes) => bytes.length - 900)],
    ['a bit in the manifest', MANIFEST, flipAt((bytes) => bytes.length - 20)],
    ['a bit in the record', RECORD, flipAt(() => 200)],
  ];
  it.each(damages)('finds %s', async (_, key, change) => {
    await edit(key, change);
    const { problems, status } = await verify();
    expect(problems).toMatchObject([{ code: 'damaged', object: key }]);
    expect(status).toBe(1);
  });

  it('finds a part of another size by the listing alone', async () => {
    await edit(PART, (bytes) => Buffer.concat([bytes, Buffer.from('x')]));
    expect((await verify('--quick')).problems).toMatchObject([{ code: 'wrong-size', object: PART }]);
  });

  it('finds a sound segment under another name', async () => {
    await edit(walKey(5), () => {
      const about = { kind: 'segment' as const, name: nameOf(5), systemId: String(SYSTEM_ID) };
      return Buffer.from(encodeObject(segmentBytes(6), about, 1).bytes);
    });
    const { problems } = await verify();
    expect(problems).toMatchObject([{ code: 'misfit', object: walKey(5) }]);
    expect(problems[0]?.message).toContain('page address is 0/600000, expected 0/500000');
  });

  it('finds an object that says it is another, or of another cluster', async () => {
    await edit(walKey(5), () => {
      const about = { kind: 'segment' as const, name: nameOf(4), systemId: '1' };
      return Buffer.from(encodeObject(segmentBytes(5), about, 1).bytes);
    });
    const { problems } = await verify();
    expect(problems.map(({ message }) => message)).toEqual([
      `it says that it is ${nameOf(4)}`,
      `it says that it belongs to cluster 1, not ${SYSTEM_ID}`,
    ]);
  });

  it('finds a file whose content is not what the manifest says, though every checksum of the part is right', async () => {
    const other = '20261123T000000Z-full';
    const point = { startLsn: inSegment(3), stopLsn: inSegment(4, 400) };
    await putBackup(stored, { id: other, ...point, parts: [{ PG_VERSION: '15\n' }, { 'base/1/1': 'x' }] });
    const manifest = await readFile(join(stored.root, `backup/${other}/backup_manifest.zst`));
    const record = await putBackup(stored, {
      id: other,
      ...point,
      parts: [{ PG_VERSION: '15\n' }, { 'base/1/1': 'y' }],
    });
    await stored.put(`backup/${other}/backup_manifest.zst`, manifest);
    const { head } = (await import('../../../src/repository/object-head.ts')).parseHead(manifest, 'it');
    const changed = { ...record, manifest: { ...record.manifest, sha256: head.sha256 } };
    await stored.put(`backup/${other}/backup.json`, formatBackupRecord(changed));
    const { problems } = await verify();
    expect(problems).toMatchObject([{ code: 'manifest-mismatch', object: `backup/${other}/part-2.tar.zst` }]);
    expect(problems[0]?.message).toContain('"base/1/1" has the SHA-256');
  });

  it('finds files that only the record or only the manifest names', async () => {
    const point = { startLsn: inSegment(3), stopLsn: inSegment(4, 400) };
    const both = await putBackup(stored, { ...point, parts: [{ a: '1' }, { b: '2' }] });
    await putBackup(stored, { ...point, parts: [{ a: '1' }, { c: '3' }] }, (record) => {
      return { ...record, parts: both.parts };
    });
    const { problems } = await verify('--slice', '1/100000');
    expect(problems.map(({ code, message }) => `${code}: ${message}`)).toEqual([
      'manifest-mismatch: the parts hold "b", which it does not name',
      'manifest-mismatch: it names "c", which no part holds',
    ]);
  });

  it('warns of what this format does not put there, and goes on', async () => {
    await stored.put('wal/00000001/0000000100000000/notes.txt', 'hello');
    await stored.put('README', 'hello');
    const { ok, stderr } = await verify();
    expect(ok).toBe(true);
    expect(stderr).toContain('README is no object of this format');
    expect(stderr).toContain('notes.txt is no object of this format');
  });

  it('tells a repository that is gone from an empty one, and reads the others', async () => {
    const { status, problems, checked } = await verify('--repo2', `file://${stored.root}-gone`);
    expect(problems).toMatchObject([{ code: 'store-gone', object: 'walhold.json' }]);
    expect(problems[0]?.message).toContain('repository 2');
    expect(checked.objects).toBe(10);
    expect(status).toBe(1);
  });

  it.each(['0/3', '4/3', '1', 'a/b', '1/0'])('refuses the slice %s', async (slice) => {
    const { status, stderr } = await callCompanion(['verify', '--repo', 'file:///x', '--slice', slice]);
    expect(stderr).toContain('Write it as n/t');
    expect(status).toBe(2);
  });

  it('reads no contents and a slice of them only by one of the two flags', async () => {
    const { status } = await callCompanion(['verify', '--repo', 'file:///x', '--slice', '1/2', '--quick']);
    expect(status).toBe(2);
  });
});
