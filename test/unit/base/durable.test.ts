import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replaceDurably } from '../../../src/base/durable.ts';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'walhold-durable-'))));
afterEach(async () => await rm(folder, { recursive: true }));

describe('replaceDurably', () => {
  it('replaces a file as a whole', async () => {
    const path = join(folder, 'file');
    await replaceDurably(path, 'a long text', 0o600);
    await replaceDurably(path, 'short', 0o600);
    expect(await readFile(path, 'utf8')).toBe('short');
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('leaves nothing behind where the name cannot be replaced', async () => {
    await mkdir(join(folder, 'taken'));
    await expect(replaceDurably(join(folder, 'taken'), 'text', 0o600)).rejects.toThrow('EISDIR');
    expect(await readdir(folder)).toEqual(['taken']);
  });
});
