import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { FileAttributes } from '../../../src/store/file-attributes.ts';
import { readImmutable, setImmutable } from '../../../src/store/file-immutable.ts';

const calls = vi.hoisted(() => ({ run: [] as { program: string; argv: string[] }[], missing: false }));
vi.mock(import('node:child_process'), async (original) => {
  const real = await original();
  const execFile = ((program: string, argv: string[], settings: object, done: () => void) => {
    calls.run.push({ program, argv });
    return real.execFile(calls.missing ? 'no-such-program' : program, argv, settings, done);
  }) as unknown as typeof real.execFile;
  return { ...real, execFile };
});

const { signal } = new AbortController();
let root = '';
const keys = Array.from({ length: 1500 }, (_, at) => `wal/${'0'.repeat(90)}${String(at).padStart(4, '0')}`);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'walhold immutable\n'));
  await mkdir(join(root, 'wal'));
  for (const key of keys) await writeFile(join(root, key), '');
});
afterAll(async () => {
  await setImmutable(root, keys, false, { signal }).catch(() => undefined);
  await rm(root, { recursive: true });
});
beforeEach(() => {
  calls.run.length = 0;
  calls.missing = false;
});

/** Why nothing can be made immutable here, or `undefined`. */
async function notHere(): Promise<string | undefined> {
  const probe = keys.slice(0, 1);
  try {
    await setImmutable(root, probe, true, { signal });
    await setImmutable(root, probe, false, { signal });
    return undefined;
  } catch (error) {
    return String(error);
  }
}

describe('the immutable attribute', () => {
  it('is set, read and taken off for many files by few processes', async ({ skip }) => {
    const why = await notHere();
    skip(why !== undefined, why);
    calls.run.length = 0;
    const some = keys.filter((_, at) => at % 3 === 0);
    await setImmutable(root, some, true, { signal });
    expect(await readImmutable(root, [...keys, 'wal/gone'], { signal })).toEqual(new Set(some));
    await expect(writeFile(join(root, some[0] as string), 'x')).rejects.toMatchObject({ code: 'EPERM' });
    await setImmutable(root, some, false, { signal });
    expect(await readImmutable(root, keys, { signal })).toEqual(new Set());
    expect(calls.run.length).toBeLessThanOrEqual(6);
    for (const { argv } of calls.run) expect(argv.join(' ').length).toBeLessThan(140_000);
  });

  it('of single files is asked for together', async () => {
    const attributes = new FileAttributes(root);
    const found = await Promise.all(keys.slice(0, 200).map((key) => attributes.isImmutable(key, { signal })));
    expect(found).toHaveLength(200);
    expect(found).not.toContain(true);
    expect(calls.run).toHaveLength(1);
    expect(await attributes.isImmutable('wal/gone', { signal })).toBe(false);
  });

  it('cannot be had without the programs', async () => {
    calls.missing = true;
    const refused = { code: 'unsupported', hint: expect.stringContaining('e2fsprogs') as string };
    await expect(readImmutable(root, keys.slice(0, 1), { signal })).rejects.toMatchObject(refused);
    await expect(setImmutable(root, keys.slice(0, 1), true, { signal })).rejects.toMatchObject(refused);
    await expect(new FileAttributes(root).isImmutable('k', { signal })).rejects.toMatchObject(refused);
  });

  it('is not asked for where the repository is gone', async () => {
    const reading = readImmutable(join(root, 'elsewhere'), ['k'], { signal });
    await expect(reading).rejects.toMatchObject({ code: 'store-gone' });
  });

  it('is not waited for once the signal has aborted', async () => {
    const reason = new Error('told to stop');
    await expect(readImmutable(root, keys, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
