import { chown, lstat, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileStore } from '../../../src/store/file.ts';

const NOBODY = 65_534;
const signal = new AbortController().signal;
const bytes = Buffer.from('x');

// Only root can give files away; everybody else's simply are their own.
describe.skipIf(process.geteuid?.() !== 0)('what root stores in a directory', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'walhold-owner-'));
  });
  afterEach(async () => await rm(root, { recursive: true, force: true }));

  const ownersOf = async (...paths: string[]): Promise<number[]> =>
    await Promise.all(paths.map(async (path) => (await lstat(join(root, path))).uid));

  it("belongs to the directory's owner, with every level above", async () => {
    await chown(root, NOBODY, NOBODY);
    await fileStore({ root }).create('wal/a/b.zst', { kind: 'buffer', bytes }, { signal });
    expect(await ownersOf('wal', 'wal/a', 'wal/a/b.zst', '.walhold-tmp')).toEqual([NOBODY, NOBODY, NOBODY, NOBODY]);
  });

  it('belongs to whoever wrote there first, where the directory is for everybody', async () => {
    await fileStore({ root }).create('first', { kind: 'buffer', bytes }, { signal });
    await chown(join(root, '.walhold-tmp'), NOBODY, NOBODY);
    await fileStore({ root }).create('backup/second', { kind: 'buffer', bytes }, { signal });
    expect(await ownersOf('backup', 'backup/second')).toEqual([NOBODY, NOBODY]);
  });
});
