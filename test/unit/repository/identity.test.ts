import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureIdentity, parseIdentity, readIdentity, requireIdentity } from '../../../src/repository/identity.ts';
import { fileStore } from '../../../src/store/file.ts';

const { signal } = new AbortController();
const OURS = 7_301_234_567_890_123_456n;
let top: string;
let root: string;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'walhold-identity-'));
  root = join(top, 'repo');
});
afterEach(async () => {
  await rm(top, { recursive: true, force: true });
});

const repository = () => ({ store: fileStore({ root }), settings: { scheme: 'file' as const, path: root } });
const options = { signal, systemId: OURS, known: false, by: 'walhold test', now: new Date(0) };

describe('a writer', () => {
  test('makes directory and identity of a new repository', async () => {
    await ensureIdentity(repository(), options);
    expect(JSON.parse(await readFile(join(root, 'walhold.json'), 'utf8'))).toEqual({
      format: 1,
      systemId: String(OURS),
      createdAt: '1970-01-01T00:00:00.000Z',
      by: 'walhold test',
    });
  });

  test('finds the identity that is there, and changes nothing', async () => {
    await ensureIdentity(repository(), options);
    const again = await ensureIdentity(repository(), { ...options, by: 'someone else' });
    expect(again.by).toBe('walhold test');
  });

  test('agrees with any number of others that come at the same time', async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, i) => ensureIdentity(repository(), { ...options, by: `writer ${i}` })),
    );
    const stored = await readIdentity(repository().store, { signal });
    expect(new Set(all.map(({ by }) => by))).toEqual(new Set([stored?.by]));
  });

  test('makes no directory above the repository', async () => {
    root = join(top, 'unmounted', 'repo');
    await expect(ensureIdentity(repository(), options)).rejects.toMatchObject({ code: 'store-gone' });
  });

  test('refuses a known repository whose directory is gone', async () => {
    await expect(ensureIdentity(repository(), { ...options, known: true })).rejects.toMatchObject({
      code: 'store-gone',
    });
  });

  test('refuses a known repository that is empty now', async () => {
    await mkdir(root);
    await expect(ensureIdentity(repository(), { ...options, known: true })).rejects.toMatchObject({
      code: 'store-gone',
      detail: expect.stringContaining('before') as string,
    });
  });

  test('refuses a place that holds something else', async () => {
    await mkdir(join(root, 'photos'), { recursive: true });
    await writeFile(join(root, 'photos', 'cat.jpg'), 'x');
    await expect(ensureIdentity(repository(), options)).rejects.toMatchObject({
      code: 'store-gone',
      detail: expect.stringContaining('photos/') as string,
    });
  });

  test('takes a fresh filesystem for empty', async () => {
    await mkdir(join(root, 'lost+found'), { recursive: true });
    await mkdir(join(root, '.Trash'));
    await ensureIdentity(repository(), options);
  });

  test("refuses another cluster's repository, and names both", async () => {
    await ensureIdentity(repository(), options);
    await expect(ensureIdentity(repository(), { ...options, systemId: 5n })).rejects.toMatchObject({
      code: 'identity',
      detail: `system identifier is 5, the repository's is ${OURS}`,
      hint: expect.stringContaining('pg_upgrade') as string,
    });
  });
});

describe('a reader', () => {
  test('takes an empty directory for gone, and makes nothing', async () => {
    await mkdir(root);
    await expect(requireIdentity(repository().store, { signal })).rejects.toMatchObject({ code: 'store-gone' });
    expect(await readIdentity(repository().store, { signal })).toBeUndefined();
  });

  test('takes a missing directory for gone', async () => {
    await expect(readIdentity(repository().store, { signal })).rejects.toMatchObject({ code: 'store-gone' });
  });
});

describe('a hostile identity', () => {
  const good = { format: 1, systemId: '5', createdAt: 'x', by: 'y' };
  test.each([
    ['no JSON', '{', 'damaged'],
    ['no object', '[]', 'damaged'],
    ['null', 'null', 'damaged'],
    ['no format', JSON.stringify({ ...good, format: undefined }), 'damaged'],
    ['a newer format', JSON.stringify({ ...good, format: 2 }), 'damaged'],
    ['a format of words', JSON.stringify({ ...good, format: '1' }), 'damaged'],
    ['a system identifier of 0', JSON.stringify({ ...good, systemId: '0' }), 'damaged'],
    ['a system identifier as a number', JSON.stringify({ ...good, systemId: 5 }), 'damaged'],
    ['a system identifier with more than digits', JSON.stringify({ ...good, systemId: '5 ' }), 'damaged'],
  ])('is refused: %s', (_, text, code) => {
    expect(() => parseIdentity(Buffer.from(text), 'file:///r')).toThrow(expect.objectContaining({ code }) as Error);
  });

  test('is not read beyond its bound', async () => {
    await mkdir(root);
    await writeFile(join(root, 'walhold.json'), `${' '.repeat(5000)}${JSON.stringify(good)}`);
    await expect(readIdentity(repository().store, { signal })).rejects.toMatchObject({ code: 'damaged' });
  });
});
