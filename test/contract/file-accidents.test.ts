import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureRoot, fileStore } from '../../src/store/file.ts';
import type { Body } from '../../src/store/store.ts';
import { bytesOf, collected, patternBytes, pieces } from '../support/bytes.ts';
import { mount, noMount, unmount } from '../support/mount.ts';

const { signal } = new AbortController();
const WRITER = new URL('../support/file-writer.ts', import.meta.url).pathname;
const OBJECT_BYTES = 300_000;
const small: Body = { kind: 'buffer', bytes: Buffer.from('content') };

let place = '';
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'walhold-file-accidents-'));
});
afterEach(async () => {
  await rm(place, { recursive: true, force: true });
});

describe('a writer that is killed', () => {
  it.each(Array.from({ length: 12 }, (_, round) => round))(
    'leaves what it was told is stored, whole, and nothing half (%i)',
    async (round) => {
      const root = join(place, 'repository');
      await ensureRoot(root);
      const said = await writeAndKill(root, 3 + (round % 4), round * 0.7);
      const store = fileStore({ root });
      const listed = await collected(store.list('', { signal }));
      const keys = listed.map((entry) => (entry.kind === 'object' ? entry.key : ''));
      for (const at of said) expect(keys).toContain(`k/${at}`);
      for (const key of keys) {
        const bytes = await bytesOf((await store.open(key, { signal }))?.chunks);
        expect(bytes.equals(patternBytes(OBJECT_BYTES, Number(key.slice(2)))), key).toBe(true);
      }
      // The next writer is not in its way.
      const next = { kind: 'stream' as const, chunks: pieces(patternBytes(10), 3) };
      expect(await store.create(`k/${said.length + 5}`, next, { signal })).toBe('created');
    },
  );
});

/** Kills the writer `laterMs` after it has said `objects` keys; gives the numbers it has said. */
async function writeAndKill(root: string, objects: number, laterMs: number): Promise<number[]> {
  const writer = spawn(process.execPath, [WRITER, root, `${OBJECT_BYTES}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said: number[] = [];
  for await (const line of createInterface({ input: writer.stdout })) {
    said.push(Number(line.replace('created ', '')));
    if (said.length === objects) setTimeout(() => writer.kill('SIGKILL'), laterMs);
  }
  if (writer.signalCode === null) await once(writer, 'exit');
  expect(writer.signalCode).toBe('SIGKILL');
  return said;
}

if (noMount !== undefined) process.stderr.write(`skipped: full, read-only and unmounted filesystems: ${noMount}\n`);

describe.skipIf(noMount !== undefined)('a filesystem', () => {
  let mountPoint = '';
  let root = '';
  beforeEach(async () => {
    mountPoint = join(place, 'mount');
    root = join(mountPoint, 'repository');
    await mkdir(mountPoint);
    mount('tmpfs', mountPoint, 'size=1m');
    await ensureRoot(root);
  });
  afterEach(() => {
    unmount(mountPoint);
  });

  it('that is full fails a create, leaves nothing and takes smaller ones', async () => {
    const store = fileStore({ root });
    for (const body of [
      { kind: 'buffer' as const, bytes: patternBytes(2_000_000) },
      { kind: 'stream' as const, chunks: pieces(patternBytes(2_000_000), 50_000) },
    ]) {
      await expect(store.create('big', body, { signal })).rejects.toMatchObject({
        code: 'io',
        hint: expect.stringContaining('Free space') as string,
      });
    }
    expect(await readdir(join(root, '.walhold-tmp'))).toEqual([]);
    expect(await store.stat('big', { signal })).toBeUndefined();
    expect(await store.create('small', small, { signal })).toBe('created');
  });

  it('that is mounted read-only denies, and can be read', async () => {
    const store = fileStore({ root });
    await store.create('k', small, { signal });
    execFileSync('mount', ['-o', 'remount,ro', mountPoint]);
    await expect(store.create('k2', small, { signal })).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('read-only') as string,
    });
    expect(await store.stat('k', { signal })).toMatchObject({ bytes: 7 });
  });

  it('that is unmounted is gone, and back when it is mounted again', async () => {
    const store = fileStore({ root });
    unmount(mountPoint);
    await expect(store.stat('k', { signal })).rejects.toMatchObject({ code: 'store-gone' });
    await expect(store.create('k', small, { signal })).rejects.toMatchObject({ code: 'store-gone' });
    await expect(collected(store.list('', { signal }))).rejects.toMatchObject({ code: 'store-gone' });
    await mkdir(root);
    expect(await store.stat('k', { signal })).toBeUndefined();
  });

  it('of which a part is another one refuses to hold a repository', async () => {
    await mkdir(join(root, 'wal'));
    mount('tmpfs', join(root, 'wal'), 'size=1m');
    try {
      const creating = fileStore({ root }).create('wal/k', small, { signal });
      await expect(creating).rejects.toMatchObject({ code: 'store-rejected' });
    } finally {
      unmount(join(root, 'wal'));
    }
  });
});

describe.skipIf(process.getuid?.() !== 0)('without rights', () => {
  it('a create, a reading and a listing are denied, never absent', async () => {
    const root = join(place, 'repository');
    await ensureRoot(root);
    await fileStore({ root }).create('wal/k', small, { signal });
    await chmod(place, 0o755);
    const asNobody = (call: string): string => {
      const script = `
        const { fileStore } = await import('${new URL('../../src/store/file.ts', import.meta.url).href}');
        const store = fileStore({ root: '${root}' });
        const { signal } = new AbortController();
        const body = { kind: 'buffer', bytes: Buffer.from('x') };
        const call = async () => { ${call} };
        console.log(await call().then(() => 'no error', (error) => error.code));`;
      return execFileSync(process.execPath, ['--input-type=module', '-e', script], { uid: 65534, gid: 65534 })
        .toString()
        .trim();
    };
    const calls = [
      `await store.stat('wal/k', { signal })`,
      `await store.open('wal/k', { signal })`,
      `await store.create('wal/k2', body, { signal })`,
      `for await (const entry of store.list('wal/', { signal }));`,
    ];
    for (const call of calls) expect(asNobody(call), call).toBe('denied');
    await chmod(root, 0o755);
    for (const call of calls) expect(asNobody(call), call).toBe('denied');
    await chown(root, 65534, 65534);
    expect(asNobody(`await store.create('own', body, { signal })`)).toBe('denied');
  });
});
