import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureRoot, fileStore } from '../../../src/store/file.ts';
import type { Body, Store } from '../../../src/store/store.ts';
import { bytesOf, collected } from '../../support/bytes.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const { signal } = new AbortController();
const DAY_MS = 24 * 3600 * 1000;
const body: Body = { kind: 'buffer', bytes: Buffer.from('content') };

let place = '';
let root = '';
let store: Store;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'walhold-file-'));
  root = join(place, 'repository');
  await ensureRoot(root);
  store = fileStore({ root });
});
afterEach(async () => {
  await rm(place, { recursive: true, force: true });
});

const CALLS: [string, (store: Store) => Promise<unknown>][] = [
  ['stat', (at) => at.stat('a/k', { signal })],
  ['open', (at) => at.open('a/k', { signal })],
  ['list', (at) => collected(at.list('', { signal }))],
  ['list of a directory', (at) => collected(at.list('a/', { signal }))],
  ['create', (at) => at.create('a/k', body, { signal })],
];

describe('a name that is taken', () => {
  it('is told where nothing can be written', async () => {
    await store.create('a/k', body, { signal });
    const temporary = join(root, '.walhold-tmp');
    await rm(temporary, { recursive: true });
    await writeFile(temporary, 'so that no file can be made here');
    expect(await store.create('a/k', body, { signal })).toBe('exists');
    await expect(store.create('a/other', body, { signal })).rejects.toBeInstanceOf(Error);
  });
});

describe('a directory that is not there', () => {
  it.each(CALLS)('is store-gone to %s, which does not make it', async (_, call) => {
    await rm(root, { recursive: true });
    await expect(call(store)).rejects.toMatchObject({
      code: 'store-gone',
      hint: expect.stringContaining('ount') as string,
    });
    expect(await readdir(place)).toEqual([]);
  });

  it.each(CALLS)('is store-gone to %s when a file lies in its place', async (_, call) => {
    await rm(root, { recursive: true });
    await writeFile(root, '');
    const message = expect.stringContaining('is no directory') as string;
    await expect(call(store)).rejects.toMatchObject({ code: 'store-gone', message });
  });

  it('is made by ensureRoot, but not the one above it', async () => {
    const deeper = join(place, 'mount', 'repository');
    await expect(ensureRoot(deeper)).rejects.toMatchObject({ code: 'store-gone' });
    expect(await readdir(place)).toEqual(['repository']);
    await ensureRoot(root);
    await mkdir(join(place, 'mount'));
    await ensureRoot(deeper);
    expect((await stat(deeper)).isDirectory()).toBe(true);
  });

  it('is not made by ensureRoot where a file lies', async () => {
    await writeFile(join(place, 'file'), '');
    await expect(ensureRoot(join(place, 'file'))).rejects.toMatchObject({ code: 'store-gone' });
  });

  it('does not come back by a create that is under way', async () => {
    async function* vanishing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first');
      await rename(root, join(place, 'elsewhere'));
      yield Buffer.from('second');
    }
    const creating = store.create('a/k', { kind: 'stream', chunks: vanishing() }, { signal });
    await expect(creating).rejects.toMatchObject({ code: 'store-gone' });
    expect(await readdir(place)).toEqual(['elsewhere']);
  });
});

describe('what a file store leaves on disk', () => {
  it('is read-only files and closed directories, whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      await store.create('wal/00000001/x.zst', body, { signal });
    } finally {
      process.umask(before);
    }
    const mode = async (path: string): Promise<string> => ((await stat(join(root, path))).mode & 0o7777).toString(8);
    expect(await mode('wal/00000001/x.zst')).toBe('440');
    expect(await mode('wal/00000001')).toBe('750');
    expect(await mode('wal')).toBe('750');
    expect(await mode('.walhold-tmp')).toBe('750');
  });

  it('keeps the group of a directory that hands it on', async () => {
    await chmod(root, 0o2750);
    await store.create('wal/x', body, { signal });
    expect((await stat(join(root, 'wal'))).mode & 0o7777).toBe(0o2750);
  });

  it('is one name for each object and nothing else', async () => {
    await store.create('a/k', body, { signal });
    await store.create('a/k', body, { signal });
    expect((await stat(join(root, 'a/k'))).nlink).toBe(1);
    expect(await readdir(join(root, '.walhold-tmp'))).toEqual([]);
  });

  it('loses what a dead writer left, after a day', async () => {
    const clock = new ManualClock(Date.now());
    const leftover = join(root, '.walhold-tmp', '.tmp-1-old');
    const recent = join(root, '.walhold-tmp', '.tmp-2-new');
    await mkdir(join(root, '.walhold-tmp'));
    await writeFile(leftover, 'half');
    await writeFile(recent, 'half');
    const long = new Date(clock.now() - DAY_MS - 1000);
    await utimes(leftover, long, long);
    await fileStore({ root, clock }).create('k', body, { signal });
    expect(await readdir(join(root, '.walhold-tmp'))).toEqual(['.tmp-2-new']);
  });
});

describe('what others put into the directory', () => {
  beforeEach(async () => {
    await store.create('a/k', body, { signal });
    await writeFile(join(place, 'secret'), 'outside');
    await symlink(join(place, 'secret'), join(root, 'link'));
    await symlink(place, join(root, 'a/up'));
    await writeFile(join(root, '.hidden'), '');
    await writeFile(join(root, 'with space'), '');
    await writeFile(join(root, 'new\nline'), '');
    await mkdir(join(root, 'empty/deeper'), { recursive: true });
    execFileSync('mkfifo', [join(root, 'pipe')]);
  });

  it('is not listed', async () => {
    const names = async (delimited: boolean): Promise<string[]> =>
      (await collected(store.list('', { signal, delimited }))).map((one) =>
        one.kind === 'object' ? one.key : one.prefix,
      );
    expect(await names(false)).toEqual(['a/k']);
    expect(await names(true)).toEqual(['a/']);
  });

  it.each(['link', 'pipe'])('is not followed, opened for ever or called absent: %s', async (key) => {
    await expect(store.stat(key, { signal })).rejects.toMatchObject({ code: 'damaged' });
    await expect(store.open(key, { signal })).rejects.toMatchObject({ code: 'damaged' });
    await expect(store.create(key, body, { signal })).rejects.toMatchObject({ code: 'damaged' });
    expect((await lstat(join(place, 'secret'))).size).toBe(7);
  });

  it('is not overwritten where a directory has the name', async () => {
    await expect(store.create('empty', body, { signal })).rejects.toMatchObject({ code: 'damaged' });
    expect(await store.stat('empty', { signal })).toBeUndefined();
  });
});

describe('a file store', () => {
  it('notices a file that shrinks while it is read', async () => {
    await store.create('big', { kind: 'buffer', bytes: Buffer.alloc(3_000_000) }, { signal });
    const opened = await store.open('big', { signal });
    await chmod(join(root, 'big'), 0o600);
    await writeFile(join(root, 'big'), 'short');
    await expect(bytesOf(opened?.chunks)).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('gives another tag to another file of the same name and size', async () => {
    await store.create('k', body, { signal });
    const before = await store.stat('k', { signal });
    await rm(join(root, 'k'));
    await store.create('k', body, { signal });
    expect((await store.stat('k', { signal }))?.tag).not.toBe(before?.tag);
  });

  it('passes on what fails in the source as it is', async () => {
    // eslint-disable-next-line typescript/require-await, require-yield -- fails at once
    async function* failing(): AsyncGenerator<Uint8Array> {
      throw Object.assign(new Error('gone'), { code: 'EPIPE' });
    }
    const creating = store.create('k', { kind: 'stream', chunks: failing() }, { signal });
    await expect(creating).rejects.toMatchObject({ message: 'gone' });
  });
});
