import { mkdtemp, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fileStore } from '../../../src/store/file.ts';

const { signal } = new AbortController();
const lock = { mode: 'governance' as const, periodMs: 86_400_000 };
const bytes = Buffer.from('content');

let root = '';
let handles: FileHandle;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'walhold-retention-'));
  const handle = await open(root);
  await handle.close();
  handles = Object.getPrototypeOf(handle) as FileHandle;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(root, { recursive: true });
});

describe('a filesystem that takes a lock and does not keep it', () => {
  const create = (kind: 'buffer' | 'stream'): Promise<unknown> => {
    // eslint-disable-next-line typescript/require-await -- a source that is always ready
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield bytes;
    }
    const body = kind === 'buffer' ? { kind, bytes } : { kind, chunks: chunks() };
    return fileStore({ root }).create('k', body, { signal, lock });
  };
  const refused = { code: 'unlocked', hint: expect.stringContaining('filesystem') as string };

  it.each(['buffer', 'stream'] as const)('(dates) is told, and nothing becomes visible (%s)', async (kind) => {
    vi.spyOn(handles, 'utimes').mockResolvedValue();
    await expect(create(kind)).rejects.toMatchObject(refused);
    expect(await readdir(root, { recursive: true })).toEqual(['.walhold-tmp']);
  });

  it('(modes) is told, and nothing becomes visible', async () => {
    vi.spyOn(handles, 'chmod').mockResolvedValue();
    await expect(create('buffer')).rejects.toMatchObject(refused);
    expect(await readdir(root, { recursive: true })).toEqual(['.walhold-tmp']);
  });

  it('(refusing) is told, and nothing becomes visible', async () => {
    vi.spyOn(handles, 'utimes').mockRejectedValue(Object.assign(new Error('no such call'), { code: 'ENOSYS' }));
    await expect(create('buffer')).rejects.toMatchObject(refused);
    expect(await readdir(root, { recursive: true })).toEqual(['.walhold-tmp']);
  });

  it('stores what needs no lock', async () => {
    vi.spyOn(handles, 'chmod').mockRejectedValue(new Error('no modes here'));
    expect(await fileStore({ root }).create('k', { kind: 'buffer', bytes }, { signal })).toBe('created');
  });

  it('is not called lockable, and the trial leaves nothing', async () => {
    vi.spyOn(handles, 'utimes').mockResolvedValue();
    const about = await fileStore({ root }).locks?.bucket({ signal });
    expect(about).toMatchObject({ lockable: false, why: [expect.stringContaining('access time') as string] });
    expect(await readdir(root)).toEqual([]);
  });
});
