import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyAll, type CopyRun } from '../../../../src/commands/backup/copy-pool.ts';
import { SharedCounters } from '../../../../src/commands/backup/shared-counters.ts';
import type {
  CopiedUnit,
  CopyUnit,
  FinishedPart,
  ThreadInput,
} from '../../../../src/commands/backup/thread-protocol.ts';
import { sha256 } from '../../../../src/stream/checksum.ts';
import { decompressFrames } from '../../../../src/stream/zstd.ts';
import { patternBytes } from '../../../support/bytes.ts';

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

function put(path: string, content: Uint8Array): void {
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
  changes: Partial<ThreadInput> & Partial<Omit<CopyRun, 'input'>> = {},
): Promise<Copied> {
  const { jobs = 2, signal = new AbortController().signal, copied, ...input } = changes;
  const counters = new SharedCounters();
  const found: CopiedUnit[] = [];
  const parts = await copyAll({
    jobs,
    units,
    signal,
    copied: (unit) => {
      found.push(unit);
      copied?.(unit);
    },
    input: {
      dataDirectory: data,
      repositories: [{ scheme: 'file', path: repository }],
      requestTimeoutMs: 10_000,
      tries: 2,
      level: 1,
      backupId: ID,
      systemId: '1',
      by: 'a test',
      pages: undefined,
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
