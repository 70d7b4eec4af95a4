import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { copyAll, type CopyRun } from '../../../../src/commands/backup/copy-pool.ts';
import { SharedCounters } from '../../../../src/commands/backup/shared-counters.ts';
import type {
  CopiedUnit,
  CopyUnit,
  FinishedPart,
  ThreadInput,
} from '../../../../src/commands/backup/thread-protocol.ts';
import { partKey, type BackupId } from '../../../../src/repository/layout.ts';
import { fileStore } from '../../../../src/store/file.ts';
import type { StoreSettings } from '../../../../src/store/open-store.ts';
import { sha256 } from '../../../../src/stream/checksum.ts';
import { decompressFrames } from '../../../../src/stream/zstd.ts';
import { patternBytes } from '../../../support/bytes.ts';
import type { FakeBucket } from '../../../support/fake-s3-bucket.ts';
import { answers, type Fault } from '../../../support/fake-s3-faults.ts';
import { FakeS3 } from '../../../support/fake-s3.ts';

const ID = '20261122T174500Z-full';
let top = '';
let data = '';
let repository = '';
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'walhold-pool-'));
  data = join(top, 'data');
  repository = join(top, 'repository');
  for (const folder of [data, repository]) mkdirSync(folder);
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function put(path: string, content: Uint8Array | string): void {
  mkdirSync(dirname(join(data, path)), { recursive: true });
  writeFileSync(join(data, path), content, { mode: 0o640 });
}

interface Copied {
  parts: FinishedPart[];
  units: CopiedUnit[];
  counters: SharedCounters;
}

async function copy(
  units: CopyUnit[],
  changes: Partial<ThreadInput> & Partial<Omit<CopyRun, 'input' | 'units'>> = {},
): Promise<Copied> {
  const { jobs = 2, signal = new AbortController().signal, copied, ...input } = changes;
  const counters = new SharedCounters();
  const found: CopiedUnit[] = [];
  const parts = await copyAll({
    jobs,
    units: units.map((unit) => ({ unit, bytes: 1 })),
    signal,
    copied: (unit) => {
      found.push(unit);
      copied?.(unit);
    },
    input: {
      dataDirectory: data,
      repositories: [{ settings: { scheme: 'file', path: repository }, lock: undefined }],
      requestTimeoutMs: 10_000,
      tries: 2,
      level: 1,
      backupId: ID,
      systemId: '1',
      by: 'a test',
      pages: undefined,
      increment: undefined,
      partBytes: 1024 ** 3,
      maxRate: undefined,
      counters: counters.memory,
      ...input,
    },
  });
  return { parts, units: found, counters };
}

const files = (...paths: string[]): CopyUnit => ({ kind: 'files', paths });
const stored = (part: number): Buffer => readFileSync(join(repository, 'backup', ID, `part-${part}.tar.zst`));

describe('copying by threads', () => {
  it('stores every file with its digest, at the place that is told', async () => {
    const contents: Record<string, Buffer> = {
      'base/1/large': patternBytes(3_500_001, 1),
      'base/1/exact': patternBytes(1024 * 1024, 2),
      'base/1/small': patternBytes(1000, 3),
      'base/1/empty': Buffer.alloc(0),
      'base/1/block': patternBytes(512, 4),
    };
    for (const [path, content] of Object.entries(contents)) put(path, content);
    const { parts, units, counters } = await copy([
      files('base/1/large'),
      files('base/1/exact'),
      files('base/1/small', 'base/1/empty', 'base/1/block'),
      { kind: 'directories', paths: ['base', 'base/1'] },
    ]);
    const frames = units.flatMap((unit) => unit.frames);
    expect(frames.flatMap((frame) => frame.files.map(({ path }) => String(path))).toSorted()).toEqual(
      Object.keys(contents).toSorted(),
    );
    for (const frame of frames) {
      const bytes = stored(frame.part).subarray(frame.offset, frame.offset + frame.storedBytes);
      const plain = decompressFrames(bytes, frame.plainBytes);
      for (const { path, at, size, sha256: digest } of frame.files) {
        const content = plain.subarray(at, at + size);
        expect(content.equals(contents[String(path)] ?? Buffer.alloc(1)), String(path)).toBe(true);
        expect(digest).toBe(sha256(content));
      }
    }
    expect(counters.bytes).toBe(Object.values(contents).reduce((sum, content) => sum + content.length, 0));
    const target = join(top, 'target');
    mkdirSync(target);
    for (const { part } of parts)
      execFileSync('sh', ['-c', 'zstd -dc | tar -xp -C "$0"', target], { input: stored(part) });
    expect(execFileSync('diff', ['-r', data, target]).toString()).toBe('');
  });

  it('locks every part as the settings of its repository ask', async () => {
    put('a', patternBytes(300_000));
    put('b', patternBytes(300_000));
    const lock = { mode: 'governance' as const, periodMs: 3_600_000 };
    const before = Date.now();
    const { parts } = await copy([files('a'), files('b')], {
      partBytes: 200_000,
      repositories: [{ settings: { scheme: 'file', path: repository }, lock }],
    });
    const { locks } = fileStore({ root: repository });
    expect(parts.length).toBeGreaterThan(1);
    for (const { part } of parts) {
      const found = await locks?.look(partKey(ID as BackupId, part), { signal: new AbortController().signal });
      expect(found?.retention?.until.getTime()).toBeGreaterThanOrEqual(before + lock.periodMs);
    }
  });

  it('ends a part when it is large enough, and numbers parts without gaps', async () => {
    const paths = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const path of paths) put(path, patternBytes(300_000));
    const { parts } = await copy(
      paths.map((path) => files(path)),
      { partBytes: 500_000 },
    );
    expect(parts.map(({ part }) => part).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: parts.length }, (_, i) => i + 1),
    );
    expect(parts.length).toBeGreaterThanOrEqual(3);
    for (const { part, storedBytes } of parts) expect(stored(part).length).toBe(storedBytes);
  });

  it('fails with the first error of any thread, which says what could not be read', async () => {
    put('good', patternBytes(1000));
    mkdirSync(join(data, 'directory'));
    await expect(copy([files('good'), files('directory'), files('good')])).rejects.toMatchObject({
      code: 'io',
      message: 'could not read directory',
    });
  });

  it('fails with what the store says', async () => {
    put('good', patternBytes(1000));
    rmSync(repository, { recursive: true });
    await expect(copy([files('good')])).rejects.toMatchObject({ code: 'store-gone' });
  });

  it('stops when it is told to, in the middle of a file', async () => {
    put('large', Buffer.alloc(64 * 1024 * 1024));
    const stop = new AbortController();
    const work = copy([files('large')], { signal: stop.signal, maxRate: 1024 * 1024 });
    setTimeout(() => stop.abort(new Error('stopped')), 100);
    await expect(work).rejects.toThrow('stopped');
    expect(readdirSync(repository, { recursive: true }).filter((name) => /part-|tmp-\d/.test(String(name)))).toEqual(
      [],
    );
  });

  describe('into a bucket', () => {
    let fake: FakeS3;
    let bucket: FakeBucket;
    beforeEach(async () => {
      fake = await FakeS3.start();
      bucket = fake.makeBucket('bucket');
      vi.stubEnv('AWS_ACCESS_KEY_ID', fake.accessKey);
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', fake.secretKey);
    });
    afterEach(async () => {
      vi.unstubAllEnvs();
      await fake[Symbol.asyncDispose]();
    });

    const place = (): StoreSettings => {
      const { endpoint, region } = fake;
      return { scheme: 's3', bucket: 'bucket', prefix: 'repo', endpoint, region, pathStyle: true };
    };
    /** S3's way: the upload is dead with the answer. */
    const conflict = (first: () => void = () => undefined): Fault => {
      const refuse = answers(409, 'ConditionalRequestConflict');
      return (request, carryOut, response) => {
        first();
        bucket.uploads.delete(request.query.get('uploadId') ?? '');
        return refuse(request, carryOut, response);
      };
    };
    const completions = (): number => fake.requests.filter((one) => one === 'CompleteMultipartUpload').length;
    const object = (part: number): Buffer =>
      bucket.current(`repo/backup/${ID}/part-${part}.tar.zst`)?.bytes ?? Buffer.alloc(0);
    /** Larger than a part of an upload, and not to be compressed. */
    const content = randomBytes(17 * 1024 * 1024);

    it('makes a part again whose upload a conflict has killed, of the files as they are then', async () => {
      put('large', content);
      put('small', 'before');
      put('next', 'in another part');
      fake.fail(
        conflict(() => put('small', 'changed')),
        { operation: 'CompleteMultipartUpload' },
      );
      const { parts, units, counters } = await copy([files('large'), files('small'), files('next')], {
        jobs: 1,
        partBytes: content.length + 1000,
        repositories: [{ settings: place(), lock: undefined }],
      });
      expect(completions()).toBe(2);
      expect(parts.map(({ part }) => part)).toEqual([1, 2]);
      const found: Record<string, Buffer> = {};
      for (const { part, offset, storedBytes, plainBytes, files: all } of units.flatMap(({ frames }) => frames)) {
        const plain = decompressFrames(object(part).subarray(offset, offset + storedBytes), plainBytes);
        for (const { path, at, size, sha256: digest } of all) {
          expect(sha256(plain.subarray(at, at + size))).toBe(digest);
          expect(Object.keys(found)).not.toContain(String(path));
          found[String(path)] = plain.subarray(at, at + size);
        }
      }
      expect(found['large']?.equals(content)).toBe(true);
      expect(found['small']?.toString()).toBe('changed');
      expect(found['next']?.toString()).toBe('in another part');
      for (const { part, storedBytes } of parts) expect(object(part).length).toBe(storedBytes);
      expect(counters.bytes).toBe(content.length + 'changed'.length + 'in another part'.length);
    });

    it('brings it from another repository, where one holds it already', async () => {
      put('large', content);
      fake.fail(conflict(), { operation: 'CompleteMultipartUpload', times: 2 });
      const { parts } = await copy([files('large')], {
        repositories: [
          { settings: place(), lock: undefined },
          { settings: { scheme: 'file', path: repository }, lock: undefined },
        ],
      });
      expect(completions()).toBe(3);
      expect(parts).toHaveLength(1);
      expect(object(1).equals(stored(1))).toBe(true);
    });

    it('gives up where that goes on, and leaves nothing', async () => {
      put('large', content);
      fake.fail(conflict(), { operation: 'CompleteMultipartUpload', times: 100 });
      await expect(
        copy([files('large')], { repositories: [{ settings: place(), lock: undefined }] }),
      ).rejects.toMatchObject({ code: 'upload-lost' });
      expect(completions()).toBe(4);
      expect(bucket.keys).toEqual([]);
      expect(bucket.uploads.size).toBe(0);
    });
  });

  it('keeps the rate that is set, all threads together', async () => {
    const paths = ['a', 'b', 'c', 'd'];
    for (const path of paths) put(path, Buffer.alloc(600_000));
    const begun = performance.now();
    await copy(
      paths.map((path) => files(path)),
      { maxRate: 3_000_000 },
    );
    // Four files of 0.2 s each; the first one is not waited for.
    expect(performance.now() - begun).toBeGreaterThan(550);
  });
});
