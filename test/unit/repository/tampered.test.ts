import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { readManifest, readWholeRecord } from '../../../src/commands/restore/backup-source.ts';
import { PieceRestorer } from '../../../src/commands/restore/piece-restorer.ts';
import { RestoredFiles } from '../../../src/commands/restore/restored-files.ts';
import { parseWalName } from '../../../src/postgres/wal-name.ts';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';
import { commitKey, IDENTITY_KEY, parseWalKey, partKey } from '../../../src/repository/layout.ts';
import { readOverview } from '../../../src/repository/overview.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { piecesOf, type RestorePiece } from '../../../src/repository/restore-pieces.ts';
import { storedSegmentTimes } from '../../../src/repository/segment-times.ts';
import { readCopies } from '../../../src/repository/stored-copies.ts';
import { describeTrace, tracesOf } from '../../../src/repository/traces.ts';
import type { Problem } from '../../../src/repository/verify-problem.ts';
import { verifyRepository } from '../../../src/repository/verify-repository.ts';
import { VerifyReport } from '../../../src/repository/verify-scope.ts';
import { fetchFrom } from '../../../src/repository/wal-archive.ts';
import { sha256 } from '../../../src/stream/checksum.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';
import { nameOf } from '../../support/made-segments.ts';
import { bucketOf, junk, MUTILATIONS, repositoryOn, storedObjects } from '../../support/tampered-repository.ts';

const { signal } = new AbortController();
const stored = await storedObjects();
const { id } = stored.record;
const SEGMENT = `wal/00000001/0000000100000000/${nameOf(5)}.zst`;

/** Everything that readers make of a repository. */
async function readEverything(repository: Repository): Promise<unknown> {
  const overview = await readOverview([repository], { signal, jobs: 2 });
  const { inventory } = overview;
  if (inventory === undefined) throw new Error('there is no WAL');
  const times = storedSegmentTimes([repository], inventory, { signal, systemId: SYSTEM_ID });
  const fetched: [string, string | undefined][] = [];
  const facts: unknown[] = [];
  for (const key of stored.objects.keys()) {
    const file = parseWalKey(key)?.file;
    if (file === undefined || file.kind === 'partial') continue;
    const plain = await fetchFrom(repository, file, { signal, systemId: SYSTEM_ID });
    fetched.push([file.name, plain === undefined ? undefined : sha256(plain)]);
    if (file.kind === 'segment')
      facts.push(await times.segment({ timeline: file.timeline, segno: BigInt(`0x${file.name.slice(16)}`) }));
  }
  return {
    systemId: overview.systemId,
    backups: overview.backups,
    damaged: [overview.damaged, inventory.damagedHistories],
    histories: [...inventory.histories],
    segments: [...inventory.timelines].map(([timeline, { segments }]) => [timeline, segments.runs]),
    fetched,
    facts,
    files: await restoredFiles(repository),
  };
}

async function restoredFiles(
  repository: Repository,
  split: (piece: RestorePiece) => RestorePiece[] = (piece) => [piece],
): Promise<[string, string][]> {
  const warn = ({ error }: { error: unknown }): never => {
    throw error as Error;
  };
  const source = { repositories: [repository], signal, warn };
  const record = await readWholeRecord(source, stored.record);
  const { manifest } = await readManifest(source, record);
  const directory = await mkdtemp(join(tmpdir(), 'walhold-tampered-'));
  try {
    const heldBack = { path: 'global/pg_control', as: 'global/pg_control' };
    const blocks = { blockBytes: 8192, blocksPerFile: 131_072 };
    const files = new RestoredFiles({ dataDirectory: directory, tablespaces: [], owner: undefined, blocks, heldBack });
    const holders = (): Repository[] => [repository];
    const restorer = new PieceRestorer({ ...source, holders, files, progress: () => undefined });
    for (const piece of piecesOf(record, manifest, 1).flatMap(split)) await restorer.restore(piece);
    await files.sync();
    const names = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((one) => one.isFile());
    const paths = names.map(({ parentPath, name }) => join(parentPath, name)).toSorted();
    return await Promise.all(
      paths.map(async (path): Promise<[string, string]> => [
        path.slice(directory.length),
        sha256(await readFile(path)),
      ]),
    );
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function problemsOf(repository: Repository): Promise<Problem[]> {
  const report = new VerifyReport();
  await verifyRepository(repository, { signal, clock: systemClock, jobs: 2, slice: { n: 1, of: 1 }, report });
  return report.problems;
}

const sound = await readEverything(repositoryOn(bucketOf(stored)));

describe.each([...stored.forgeries].map(([key, { what }]) => ({ key, what })))('of $what', ({ key }) => {
  it.each(MUTILATIONS)('$what, every reader gets the truth, and the object is named', async (mutilation) => {
    const repository = repositoryOn(bucketOf(stored, key, mutilation));
    expect(await readEverything(repository)).toEqual(sound);
    const traces = tracesOf(repository);
    expect(traces.length).toBeGreaterThan(0);
    expect(new Set(traces.map(({ object }) => object))).toEqual(new Set([key]));
  });

  it.each(MUTILATIONS)('$what, verify reads all of it, and names nothing but that', async (mutilation) => {
    const problems = await problemsOf(repositoryOn(bucketOf(stored, key, mutilation)));
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) {
      expect(problem).toMatchObject({
        object: key,
        code: expect.stringMatching(/^(extra-version|delete-marker)$/) as string,
      });
    }
  });
});

describe('a repository in which nobody has meddled', () => {
  it('leaves nothing to name, and costs no request for other versions of what is read', async () => {
    const bucket = bucketOf(stored);
    const repository = repositoryOn(bucket);
    expect(await problemsOf(repository)).toEqual([]);
    expect(bucket.requests.filter((request) => request.includes('@'))).toEqual([]);
  });
});

describe('a trace', () => {
  const problem = async (key: string, at: number): Promise<Problem[]> => {
    const mutilation = MUTILATIONS[at];
    return await problemsOf(repositoryOn(bucketOf(stored, key, mutilation)));
  };

  it('is named with its version and its time', async () => {
    const [overwritten] = await problem(SEGMENT, 0);
    expect(overwritten?.code).toBe('extra-version');
    expect(overwritten?.message).toMatch(
      /^version v\d+, stored at 2026-01-01T00:00:\d\d\.000Z, came after the object and is not believed$/,
    );
    const [hidden] = await problem(SEGMENT, 3);
    expect(hidden).toMatchObject({ code: 'delete-marker' });
    expect(hidden?.message).toMatch(/^a delete marker of 2026-01-01T00:00:\d\d\.000Z \(version v\d+\) hides it/);
  });

  it('is the version that came first where that is not authentic, not the one that is believed', async () => {
    const bucket = bucketOf(stored);
    bucket.expunge(SEGMENT, (await infoOf(bucket, SEGMENT)).version ?? '');
    const real = stored.objects.get(SEGMENT) ?? Buffer.alloc(0);
    const first = bucket.put(SEGMENT, junk(real));
    const marker = bucket.hide(SEGMENT);
    const believed = bucket.put(SEGMENT, real);
    const repository = repositoryOn(bucket);
    await problemsOf(repository);
    expect(tracesOf(repository).map(({ kind, version }) => [kind, version])).toEqual([
      ['unauthentic', first],
      ['delete-marker', marker],
    ]);
    expect(tracesOf(repository).map(({ version }) => version)).not.toContain(believed);
    expect(tracesOf(repository).map(describeTrace)[0]).toMatch(/the oldest, is not authentic/);
  });

  it('is not what check itself tried on its own object', async () => {
    const bucket = bucketOf(stored);
    bucket.put('walhold.probe', 'a probe');
    bucket.put('walhold.probe', 'an overwrite that the store let through');
    expect(await problemsOf(repositoryOn(bucket))).toEqual([]);
  });

  it('is found beside ours too, in names that nothing here reads', async () => {
    const bucket = bucketOf(stored);
    for (const key of ['note.txt', `backup/${id}/note.txt`, 'wal/00000001/note.txt']) {
      bucket.put(key, 'pay');
      bucket.put(key, 'pay more');
    }
    expect((await problemsOf(repositoryOn(bucket))).map(({ object }) => object)).toEqual([
      `backup/${id}/note.txt`,
      'note.txt',
      'wal/00000001/note.txt',
    ]);
  });
});

async function infoOf(bucket: ReturnType<typeof bucketOf>, key: string): Promise<{ version?: string }> {
  return (await bucket.store.stat(key, { signal })) ?? {};
}

describe('where no version is authentic', () => {
  const file = parseWalName(nameOf(5));

  it('nothing is found: what lies there is damaged', async () => {
    const bucket = bucketOf(stored);
    bucket.expunge(SEGMENT, (await infoOf(bucket, SEGMENT)).version ?? '');
    bucket.put(SEGMENT, 'junk');
    bucket.put(SEGMENT, 'other junk');
    const repository = repositoryOn(bucket);
    if (file?.kind !== 'segment') throw new Error('a segment');
    await expect(fetchFrom(repository, file, { signal, systemId: SYSTEM_ID })).rejects.toMatchObject({
      code: 'damaged',
      detail: 'it has no description',
    });
    expect((await problemsOf(repository)).map(({ code, object }) => [code, object])).toEqual([
      ['damaged', SEGMENT],
      ['extra-version', SEGMENT],
    ]);
  });

  it('nor is a version of later than the moment that is read', async () => {
    const bucket = bucketOf(stored);
    const real = stored.objects.get(SEGMENT) ?? Buffer.alloc(0);
    bucket.expunge(SEGMENT, (await infoOf(bucket, SEGMENT)).version ?? '');
    bucket.put(SEGMENT, junk(real));
    const moment = new Date(bucket.now - 1);
    bucket.hide(SEGMENT);
    bucket.put(SEGMENT, real);
    if (file?.kind !== 'segment') throw new Error('a segment');
    const reading = { signal, systemId: SYSTEM_ID };
    expect(await fetchFrom(repositoryOn(bucket), file, reading)).toBeDefined();
    const then = fetchFrom(repositoryOn(bucket, moment), file, reading);
    await expect(then).rejects.toMatchObject({ code: 'damaged' });
  });

  it('a store that does not answer when asked for the others is no proof of damage', async () => {
    const bucket = bucketOf(stored, commitKey(id), MUTILATIONS[5]);
    bucket.fault = (request) => (request.includes('@') ? new TypeError('broken off') : undefined);
    await expect(
      readWholeRecord({ repositories: [repositoryOn(bucket)], signal, warn: () => undefined }, stored.record),
    ).rejects.toThrow('broken off');
  });
});

describe('a part that is read by ranges', () => {
  it('is read from the right version for all of them, once that is found', async () => {
    const key = partKey(id, 1);
    const bucket = bucketOf(stored, key, MUTILATIONS[5]);
    await restoredFiles(repositoryOn(bucket), (piece) => splitByFrame(piece, stored.record));
    const reads = bucket.requests.filter((request) => request.startsWith(`open ${key}`));
    const [first, ...others] = reads.map((request) => request.split('@')[1]);
    // Junk; the end of the version that fits; its frames.
    expect(others).toHaveLength(1 + (stored.record.parts[0]?.frames.length ?? 0));
    expect(new Set(others).size).toBe(1);
    expect(others).not.toContain(first);
  });
});

/** A piece for each frame, as in a part that is larger. */
function splitByFrame(piece: RestorePiece, { parts }: BackupRecord): RestorePiece[] {
  const part = parts.find(({ number }) => number === piece.part);
  const last = part?.frames.at(-1);
  return (part?.frames ?? []).map((frame) => ({
    ...piece,
    offset: frame.offset,
    storedBytes: frame.storedBytes,
    plainBytes: frame.plainBytes,
    files: piece.files.filter((file) => frame.files.some(({ path }) => path === file.path)),
    ends: frame === last,
  }));
}

describe('wal inspect', () => {
  it('shows every version of a name', async () => {
    const repository = repositoryOn(bucketOf(stored, SEGMENT, MUTILATIONS[7]));
    const file = parseWalName(nameOf(5));
    if (file === undefined) throw new Error('a name');
    const copies = await readCopies(repository, file, { signal });
    expect(copies.map(({ content }) => content.kind)).toEqual(['damaged', 'damaged', 'read', 'read']);
    expect(new Set(copies.map(({ version }) => version)).size).toBe(4);
  });
});

it('the identity is the oldest that is one, whoever it names', async () => {
  const repository = repositoryOn(bucketOf(stored, IDENTITY_KEY, MUTILATIONS[2]));
  const overview = await readOverview([repository], { signal, jobs: 2, systemId: SYSTEM_ID });
  expect(overview.failures).toEqual([]);
});
