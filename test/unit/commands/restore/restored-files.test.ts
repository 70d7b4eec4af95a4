import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RestoredFiles } from '../../../../src/commands/restore/restored-files.ts';
import { sha256 } from '../../../../src/stream/checksum.ts';

/** What the disk was asked to begin with, and whether it refuses. */
const disk = vi.hoisted(() => ({ begun: 0, fails: false }));

vi.mock(import('node:fs'), async (original) => {
  const real = await original();
  const fdatasync = ((fd: number, done: (error: NodeJS.ErrnoException | null) => void): void => {
    disk.begun += 1;
    if (disk.fails) done(Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'fdatasync' }));
    else real.fdatasync(fd, done);
  }) as typeof real.fdatasync;
  return { ...real, fdatasync };
});

const MB = 1024 * 1024;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walhold-restored-'));
  Object.assign(disk, { begun: 0, fails: false });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function restored(content: Buffer): RestoredFiles {
  const files = new RestoredFiles({
    dataDirectory: folder,
    tablespaces: [],
    owner: undefined,
    blocks: { blockBytes: 8192, blocksPerFile: 131072 },
    heldBack: { path: 'global/pg_control', as: 'held' },
  });
  const entry = { kind: 'file' as const, uid: 0, gid: 0, user: '', group: '', modifiedAt: 0, mode: 0o600 };
  const path = 'base/1/large';
  const size = content.length;
  files.begin({ ...entry, path, size }, { path, size, sha256: sha256(content), use: 'whole' });
  for (let at = 0; at < size; at += MB) files.write(content.subarray(at, at + MB));
  return files;
}

describe('a large file', () => {
  const content = Buffer.alloc(34 * MB, 'no zeros');

  it('is on its way to the disk before its end has come', async () => {
    const files = restored(content);
    expect(disk.begun).toBe(1);
    files.end();
    files.keep();
    await files.sync();
    expect(readFileSync(join(folder, 'base/1/large')).equals(content)).toBe(true);
  });

  it('is not restored where the disk has refused a piece of it, though it takes the rest', async () => {
    disk.fails = true;
    const files = restored(content);
    files.end();
    files.keep();
    await expect(files.sync()).rejects.toMatchObject({ code: 'io' });
  });

  it('that is read from elsewhere in the middle leaves nothing behind', async () => {
    const files = restored(content);
    files.forget();
    await files.sync();
    expect(() => readFileSync(join(folder, 'base/1/large'))).toThrow('ENOENT');
  });
});
