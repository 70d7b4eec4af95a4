import { chmod, cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SILENT } from '../../../src/base/log.ts';
import { openLockMemory, type SpooledLockMemory } from '../../../src/spool/lock-memory.ts';
import { NO_SPOOL, openSpool } from '../../../src/spool/spool.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const DAY_MS = 86_400_000;
const ABOUT = { place: 's3://bucket/main at here', lock: 'compliance for 30 days' };

let top: string;
let path: string;
beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'walhold-locks-'));
  path = join(top, 'spool');
});
afterEach(async () => await rm(top, { recursive: true, force: true }));

/** As the next call opens it. */
async function opened(now = NOW, about = ABOUT, at = path): Promise<SpooledLockMemory> {
  return openLockMemory(await openSpool(at, SILENT, now), about, { now });
}

async function remembered(): Promise<void> {
  const memory = await opened();
  memory.remember('single', 'kept');
  memory.remember('stream', 'dropped');
  await memory.save();
}

describe('the memory of locks', () => {
  it('tells the next call what this one saw of each way of writing', async () => {
    await remembered();
    const next = await opened(NOW + 60_000);
    expect([next.recall('single'), next.recall('stream')]).toEqual(['kept', 'dropped']);
  });

  it('tells this call at once, and writes nothing where nothing was learned', async () => {
    const memory = await opened();
    expect(memory.recall('single')).toBeUndefined();
    await memory.save();
    expect(await readdir(top)).toEqual([]);
    memory.remember('single', 'dropped');
    expect(memory.recall('single')).toBe('dropped');
  });

  it('forgets after a day', async () => {
    await remembered();
    expect((await opened(NOW + DAY_MS - 1)).recall('single')).toBe('kept');
    expect((await opened(NOW + DAY_MS)).recall('single')).toBeUndefined();
  });

  it('keeps the date of each way: one that is looked at anew does not make the other younger', async () => {
    await remembered();
    const later = await opened(NOW + DAY_MS / 2);
    later.remember('stream', 'kept');
    await later.save();
    const next = await opened(NOW + DAY_MS);
    expect([next.recall('single'), next.recall('stream')]).toEqual([undefined, 'kept']);
  });

  it.each([
    ['from the future', NOW - 1, ABOUT],
    ['of another place', NOW, { ...ABOUT, place: 's3://bucket/other at here' }],
    ['of other lock settings', NOW, { ...ABOUT, lock: 'governance for 30 days' }],
  ])('believes nothing %s', async (_, now, about) => {
    await remembered();
    expect((await opened(now, about)).recall('single')).toBeUndefined();
  });

  it('believes no copy of a spool', async () => {
    await remembered();
    const copy = join(top, 'copy');
    await cp(path, copy, { recursive: true, preserveTimestamps: true });
    await chmod(copy, 0o700);
    expect((await opened(NOW, ABOUT, copy)).recall('single')).toBeUndefined();
  });

  it('believes no spool that others can write into', async () => {
    await remembered();
    await chmod(path, 0o720);
    expect((await opened()).recall('single')).toBeUndefined();
  });

  it('does without a spool', async () => {
    const memory = await openLockMemory(NO_SPOOL, ABOUT, { now: NOW });
    memory.remember('single', 'kept');
    await memory.save();
    expect(memory.recall('single')).toBe('kept');
  });
});
