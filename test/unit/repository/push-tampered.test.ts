import { describe, expect, it } from 'vitest';
import { SILENT } from '../../../src/base/log.ts';
import { parseWalName, type SegmentFile } from '../../../src/postgres/wal-name.ts';
import { tracesOf } from '../../../src/repository/traces.ts';
import { fetchFrom, pushInto, type PushOutcome } from '../../../src/repository/wal-archive.ts';
import { prepareWal } from '../../../src/repository/wal-object.ts';
import { SYSTEM_ID, walObject } from '../../support/file-repository.ts';
import { nameOf, segmentBytes } from '../../support/made-segments.ts';
import { forgedSegment, repositoryOn } from '../../support/tampered-repository.ts';
import { VersionedMemoryBucket } from '../../support/versioned-memory-store.ts';

const { signal } = new AbortController();
const file = parseWalName(nameOf(9)) as SegmentFile;
const wal = prepareWal(file, segmentBytes(9), {
  level: 1,
  by: 'a test',
  at: new Date(0),
  cluster: { systemId: SYSTEM_ID },
});
const ours = Buffer.from(wal.encoded.bytes);
const forged = walObject(file.name, forgedSegment(9)).bytes;
const ofAnotherCluster = walObject(file.name, forgedSegment(9), { systemId: '42' }).bytes;
const junk = Buffer.alloc(ours.length, 'junk');
const misnamed = walObject(file.name, segmentBytes(9), { name: nameOf(8) }).bytes;
const short = walObject(file.name, segmentBytes(9).subarray(0, 512 * 1024)).bytes;

function bucketWith(...versions: (Buffer | undefined)[]): VersionedMemoryBucket {
  const bucket = new VersionedMemoryBucket();
  for (const bytes of versions) {
    if (bytes === undefined) bucket.hide(wal.key);
    else bucket.put(wal.key, bytes);
  }
  return bucket;
}

const push = (bucket: VersionedMemoryBucket, more: { expected?: boolean } = {}): Promise<PushOutcome> =>
  pushInto(repositoryOn(bucket), wal, { signal, log: SILENT, ...more });
const fetched = async (bucket: VersionedMemoryBucket): Promise<Buffer | undefined> =>
  await fetchFrom(repositoryOn(bucket), file, { signal, systemId: SYSTEM_ID });

describe('a push to a name that somebody took', () => {
  it.each([
    ['junk', [junk]],
    ['an empty object', [Buffer.alloc(0)]],
    ['a segment of another cluster', [ofAnotherCluster]],
    ['the same content, described as another segment', [misnamed]],
    ['a segment of another size', [short]],
    ['junk over junk', [junk, Buffer.from('other junk')]],
  ])('fails over %s, names object, version and the way out, and changes nothing', async (_, versions) => {
    const bucket = bucketWith(...versions);
    await expect(push(bucket)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(`could not store ${file.name}`) as string,
      detail: expect.stringContaining(`${bucket.store.url}/${wal.key} (version v1)`) as string,
      hint: expect.stringContaining(`walhold wal resolve ${file.name}`) as string,
    });
    await expect(push(bucket, { expected: true })).rejects.toMatchObject({ code: 'damaged' });
    expect(bucket.requests.filter((request) => request.startsWith('create'))).toHaveLength(1);
    await expect(fetched(bucket)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('fails over a well-formed forgery: every reader would take that one', async () => {
    const failure = { code: 'conflict', hint: expect.stringContaining(`wal resolve ${file.name}`) as string };
    await expect(push(bucketWith(forged))).rejects.toMatchObject(failure);
    await expect(push(bucketWith(forged, ours))).rejects.toMatchObject(failure);
    await expect(push(bucketWith(junk, forged, ours))).rejects.toMatchObject(failure);
  });

  it('stores once the name is free again, and what it stored is what is fetched', async () => {
    const bucket = bucketWith(junk, undefined);
    expect(await push(bucket)).toBe('stored');
    expect(await push(bucket)).toBe('present');
    expect(await fetched(bucket)).toEqual(segmentBytes(9));
  });
});

describe('a push of what is stored', () => {
  it.each([
    ['was overwritten with junk', [ours, junk]],
    ['was overwritten with a forgery', [ours, forged]],
    ['came after junk', [junk, undefined, ours]],
    ['came after junk that was put there twice', [junk, short, undefined, ours]],
    ['came after junk, and was overwritten too', [junk, undefined, ours, undefined, forged]],
  ])('succeeds where it %s, and tells of that', async (_, versions) => {
    const bucket = bucketWith(...versions);
    const repository = repositoryOn(bucket);
    for (const more of [{}, { expected: true }])
      expect(await pushInto(repository, wal, { signal, log: SILENT, ...more })).toBe('present');
    expect(await fetched(bucket)).toEqual(segmentBytes(9));
    expect(tracesOf(repository).map(({ object }) => object)).toContain(wal.key);
  });

  it('stores it again where a marker hides it, and the first one stays the truth', async () => {
    const bucket = bucketWith(ours, undefined);
    expect(await push(bucket)).toBe('stored');
    expect(await fetched(bucket)).toEqual(segmentBytes(9));
  });
});
