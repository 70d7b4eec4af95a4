import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { syncAhead } from '../../../src/commands/fetch-install.ts';

let folder = '';
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'walhold-install-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

describe('a segment that is synced ahead', () => {
  it('stays as it is', async () => {
    const path = join(folder, 'segment');
    await writeFile(path, Buffer.alloc(1024, 1));
    const before = await stat(path);
    await syncAhead(path);
    expect(await stat(path)).toMatchObject({ ino: before.ino, size: 1024, mtimeMs: before.mtimeMs });
  });

  it.each(['gone', 'segment/below'])(
    "and was taken meanwhile, or cannot be opened, is nobody's trouble: %s",
    async (name) => {
      await writeFile(join(folder, 'segment'), '');
      await expect(syncAhead(join(folder, name))).resolves.toBeUndefined();
    },
  );
});
