import { execFileSync } from 'node:child_process';
import { chmod, chown, lstat, mkdir, mkdtemp, readFile, rm, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { setImmutable } from '../../src/store/file-immutable.ts';
import { fileRemover } from '../../src/store/file-remove.ts';
import { fileStore } from '../../src/store/file.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import type { Store, StoreLocks } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { bytesOf, collected } from '../support/bytes.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { mount, noMount, unmount } from '../support/mount.ts';
import { lockSuite } from './lock-suite.ts';

const { signal } = new AbortController();
const DAY_MS = 86_400_000;
const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;
const compliance = { mode: 'compliance' as const, periodMs: 30 * DAY_MS };

let place = '';
let root = '';
let clock: ManualClock;
let store: Store;
let locks: StoreLocks;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'walhold-file-locks-'));
  root = join(place, 'repository');
  await mkdir(root);
  use(root);
});
afterEach(async () => {
  await setImmutable(root, ['wal/k'], false, { signal }).catch(() => undefined);
  await rm(place, { recursive: true });
});

function use(directory: string): void {
  root = directory;
  clock = new ManualClock(Date.now());
  store = fileStore({ root, clock });
  if (store.locks === undefined) throw new Error('files can be locked');
  locks = store.locks;
}

async function putLocked(): Promise<void> {
  const body = { kind: 'buffer' as const, bytes: Buffer.from('content') };
  expect(await store.create('wal/k', body, { signal, lock: compliance })).toBe('created');
}

const inDays = (days: number): Date => new Date(clock.now() + days * DAY_MS);
const readOnly = (from: number): object => ({
  retention: { mode: 'read-only', until: new Date(Math.ceil((from + 30 * DAY_MS) / 1000) * 1000) },
  hold: false,
});

describe('a file created with a lock', () => {
  it('is read-only, bears the date as its access time, and says so wherever it is seen', async () => {
    await putLocked();
    const found = await lstat(join(root, 'wal/k'));
    expect(found.mode & 0o7777).toBe(0o440);
    expect(Math.abs(found.mtimeMs - clock.now())).toBeLessThan(10_000);
    const expected = readOnly(clock.now());
    expect((await store.stat('wal/k', { signal }))?.protection).toEqual(expected);
    expect((await store.open('wal/k', { signal }))?.info.protection).toEqual(expected);
    expect(await collected(store.list('', { signal }))).toMatchObject([{ key: 'wal/k', protection: expected }]);
    expect(await locks.look('wal/k', { signal })).toEqual(expected);
  });

  it('stays so however often it is read, by whomever', async () => {
    await putLocked();
    for (let time = 0; time < 3; time += 1) {
      await bytesOf((await store.open('wal/k', { signal }))?.chunks);
      await readFile(join(root, 'wal/k'));
    }
    expect(await locks.look('wal/k', { signal })).toEqual(readOnly(clock.now()));
  });

  it('counts as free once the date has passed', async () => {
    await putLocked();
    await clock.advance(31 * DAY_MS);
    const free = { retention: undefined, hold: false };
    expect(await locks.look('wal/k', { signal })).toEqual(free);
    expect(await store.stat('wal/k', { signal })).toMatchObject({ protection: free });
  });

  it('counts as free once somebody may write it', async () => {
    await putLocked();
    await chmod(join(root, 'wal/k'), 0o640);
    expect(await locks.look('wal/k', { signal })).toEqual({ retention: undefined, hold: false });
  });

  it('is refused where the lock is to come from a default, which no directory has', async () => {
    const body = { kind: 'buffer' as const, bytes: Buffer.from('content') };
    const lock = { mode: 'bucket' as const, periodMs: DAY_MS };
    await expect(store.create('wal/k', body, { signal, lock })).rejects.toMatchObject({
      code: 'unlocked',
      hint: expect.stringContaining('governance') as string,
    });
    expect(await store.stat('wal/k', { signal })).toBeUndefined();
  });

  it('is not needed: without one a file is free', async () => {
    await store.create('free', { kind: 'buffer', bytes: Buffer.from('x') }, { signal });
    await clock.advance(60_000);
    expect(await locks.look('free', { signal })).toEqual({ retention: undefined, hold: false });
    expect(await locks.look('none', { signal })).toBeUndefined();
  });
});

describe('lengthening', () => {
  it('moves the date, and nothing else: not the time of writing, not the tag', async () => {
    await putLocked();
    // To the nanosecond: a round number would hide a loss.
    execFileSync('touch', ['-m', '-d', '2026-01-02T03:04:05.123456789Z', join(root, 'wal/k')]);
    const before = await store.stat('wal/k', { signal });
    const { mtimeNs } = await lstat(join(root, 'wal/k'), { bigint: true });
    expect(mtimeNs % 1000n).toBe(789n);
    const retention = await locks.retain('wal/k', { mode: 'compliance', until: inDays(60) }, { signal });
    expect(retention.until.getTime()).toBeGreaterThanOrEqual(inDays(60).getTime());
    expect((await lstat(join(root, 'wal/k'), { bigint: true })).mtimeNs).toBe(mtimeNs);
    expect(await store.stat('wal/k', { signal })).toMatchObject({ tag: before?.tag, storedAt: before?.storedAt });
  });

  it('never shortens', async () => {
    await putLocked();
    const before = await locks.look('wal/k', { signal });
    const kept = await locks.retain('wal/k', { mode: 'governance', until: inDays(5) }, { signal });
    expect(kept.until).toEqual(before?.retention?.until);
    await setImmutable(root, ['wal/k'], false, { signal }).catch(() => undefined);
    await chmod(join(root, 'wal/k'), 0o640);
    const mended = await locks.retain('wal/k', { mode: 'governance', until: inDays(5) }, { signal });
    expect(mended.until).toEqual(before?.retention?.until);
    expect((await lstat(join(root, 'wal/k'))).mode & 0o7777).toBe(0o440);
  });

  it('retains what was free', async () => {
    await store.create('wal/k', { kind: 'buffer', bytes: Buffer.from('x') }, { signal });
    await locks.retain('wal/k', { mode: 'governance', until: inDays(5) }, { signal });
    expect((await store.stat('wal/k', { signal }))?.protection?.retention?.until.getTime()).toBeGreaterThanOrEqual(
      inDays(5).getTime(),
    );
  });

  it('of what is not there is an error', async () => {
    const retaining = locks.retain('none', { mode: 'governance', until: inDays(5) }, { signal });
    await expect(retaining).rejects.toMatchObject({ code: 'not-found' });
  });

  it('has no holds beside it', async () => {
    await expect(locks.hold('wal/k', true, { signal })).rejects.toMatchObject({ code: 'unsupported' });
  });
});

describe('a directory', () => {
  it('says what locks there are', async () => {
    expect(await locks.bucket({ signal })).toEqual({
      versioning: 'off',
      lockable: true,
      defaultRetention: 'none',
      lifecycle: [],
      why: [],
    });
    expect(await collected(store.list('', { signal }))).toEqual([]);
    await rm(root, { recursive: true });
    await expect(locks.bucket({ signal })).rejects.toMatchObject({ code: 'store-gone' });
    await mkdir(root);
  });
});

describe('removing', () => {
  const remover = (): ReturnType<typeof fileRemover> => fileRemover({ root, clock });
  const remove = (key: string): Promise<void> => remover().remove(key, { signal, version: undefined });

  it('is refused with the date until it has passed, then done', async () => {
    await putLocked();
    await expect(remove('wal/k')).rejects.toMatchObject({
      code: 'denied',
      detail: expect.stringContaining(inDays(30).toISOString().slice(0, 10)) as string,
    });
    expect(await store.stat('wal/k', { signal })).toMatchObject({ bytes: 7 });
    await clock.advance(31 * DAY_MS);
    await remove('wal/k');
    expect(await store.stat('wal/k', { signal })).toBeUndefined();
  });

  it('of what is absent is done; of a repository that is gone it is not', async () => {
    await remove('wal/none');
    await rm(root, { recursive: true });
    await expect(remove('wal/none')).rejects.toMatchObject({ code: 'store-gone' });
    await mkdir(root);
  });

  it('takes no directory for a file', async () => {
    await mkdir(join(root, 'wal'));
    await expect(remove('wal')).rejects.toMatchObject({ code: 'damaged' });
  });
});

/** A call of the store by somebody who is not root: `value` of what it resolves to, or the error's code and hint. */
function asNobody(call: string): { value?: unknown; code?: string; hint?: string } {
  const url = (module: string): string => new URL(`../../src/store/${module}`, import.meta.url).href;
  const script = `
    const { fileStore } = await import('${url('file.ts')}');
    const { fileRemover } = await import('${url('file-remove.ts')}');
    const store = fileStore({ root: '${root}' });
    const remover = fileRemover({ root: '${root}' });
    const { signal } = new AbortController();
    const until = new Date('${inDays(90).toISOString()}');
    const said = await (async () => ({ value: await (${call}) }))().catch(({ code, hint }) => ({ code, hint }));
    console.log(JSON.stringify(said));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { uid: NOBODY, gid: NOBODY });
  return JSON.parse(output.toString()) as ReturnType<typeof asNobody>;
}

if (!isRoot) process.stderr.write('skipped: what root and others may do with locks: this is not root\n');

describe.skipIf(!isRoot)('the owner, others, and root', () => {
  const RETAIN = `store.locks.retain('wal/k', { mode: 'compliance', until }, { signal })`;
  const LOOK = `store.locks.look('wal/k', { signal })`;

  beforeEach(async () => {
    await chmod(place, 0o755);
    await chown(root, NOBODY, NOBODY);
    await putLocked();
  });

  it('the owner lengthens, read-only', () => {
    expect(asNobody(RETAIN).value).toMatchObject({ mode: 'read-only' });
  });

  it('another reads and cannot lengthen', async () => {
    await chown(join(root, 'wal/k'), 0, NOBODY);
    expect(asNobody(LOOK).value).toMatchObject({ retention: { mode: 'read-only' } });
    expect(asNobody(RETAIN)).toMatchObject({ code: 'denied', hint: expect.stringContaining('owner') as string });
  });

  it('another who may not write cannot say whether files can be locked there', async () => {
    await chown(root, 0, NOBODY);
    await chown(join(root, '.walhold-tmp'), 0, NOBODY);
    expect(asNobody('store.locks.bucket({ signal })').value).toMatchObject({
      why: [expect.stringContaining('no file can be made') as string],
    });
  });

  it('root makes it immutable, so that nobody removes it, and lengthens it again', async () => {
    const first = await locks.retain('wal/k', { mode: 'compliance', until: inDays(5) }, { signal });
    expect(first).toMatchObject({ mode: 'immutable' });
    await expect(unlink(join(root, 'wal/k'))).rejects.toMatchObject({ code: 'EPERM' });
    expect(asNobody(LOOK).value).toMatchObject({ retention: { mode: 'immutable' } });
    expect(asNobody(RETAIN)).toMatchObject({ code: 'denied', hint: expect.stringContaining('root') as string });
    const second = await locks.retain('wal/k', { mode: 'compliance', until: inDays(60) }, { signal });
    expect(second.mode).toBe('immutable');
    expect(second.until.getTime()).toBeGreaterThanOrEqual(inDays(60).getTime());
    await expect(writeFile(join(root, 'wal/k'), 'x')).rejects.toMatchObject({ code: 'EPERM' });
  });

  it('root removes an immutable file when its time is over; nobody else does, and not before', async () => {
    await locks.retain('wal/k', { mode: 'compliance', until: inDays(60) }, { signal });
    const removing = fileRemover({ root, clock }).remove('wal/k', { signal, version: undefined });
    await expect(removing).rejects.toMatchObject({
      code: 'denied',
      detail: expect.stringContaining('retained') as string,
    });
    await clock.advance(61 * DAY_MS);
    expect(await locks.look('wal/k', { signal })).toEqual({ retention: undefined, hold: false });
    await fileRemover({ root, clock }).remove('wal/k', { signal, version: undefined });
    expect(await store.stat('wal/k', { signal })).toBeUndefined();
  });

  it('an immutable file without a date is not removed by its owner', async () => {
    await utimes(join(root, 'wal/k'), new Date(), new Date());
    await setImmutable(root, ['wal/k'], true, { signal });
    expect(asNobody(`remover.remove('wal/k', { signal, version: undefined })`)).toMatchObject({ code: 'denied' });
    expect(await store.stat('wal/k', { signal })).toMatchObject({ bytes: 7 });
  });
});

if (noMount !== undefined) process.stderr.write(`skipped: locks on other filesystems: ${noMount}\n`);

describe.skipIf(noMount !== undefined)('a filesystem', () => {
  const on = async (type: 'tmpfs' | 'ramfs', options: string): Promise<void> => {
    const mountPoint = join(place, 'mount');
    await mkdir(mountPoint);
    mount(type, mountPoint, options);
    use(mountPoint);
  };
  afterEach(() => {
    unmount(join(place, 'mount'));
  });

  it('with strictatime is warned of, and reading by the store ends no lock, though other readings do', async () => {
    await on('tmpfs', 'size=1m,strictatime');
    await putLocked();
    await bytesOf((await store.open('wal/k', { signal }))?.chunks);
    expect(await locks.look('wal/k', { signal })).toEqual(readOnly(clock.now()));
    expect((await locks.bucket({ signal })).why).toEqual([expect.stringContaining('strictatime') as string]);
    await readFile(join(root, 'wal/k'));
    await clock.advance(60_000);
    expect(await locks.look('wal/k', { signal })).toEqual({ retention: undefined, hold: false });
  });

  it('without attributes has read-only locks, for root too', async () => {
    await on('ramfs', 'mode=755');
    await putLocked();
    const retention = await locks.retain('wal/k', { mode: 'compliance', until: inDays(60) }, { signal });
    expect(retention.mode).toBe('read-only');
    await expect(setImmutable(root, ['wal/k'], true, { signal })).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('no immutable attribute') as string,
    });
  });
});

const policy = retryPolicy({ clock: systemClock, random: Math.random, requestTimeoutMs: 30_000 });
lockSuite(
  'a directory',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'walhold-file-lock-suite-'));
    return {
      // Root's own way shows as another mode, and is tested above.
      store: withRetry(fileStore({ root: directory, immutable: false }), policy),
      remover: fileRemover({ root: directory }),
      dispose: () => rm(directory, { recursive: true }),
    };
  },
  { shownAs: () => 'read-only', withoutHolds: 'files know none' },
);
