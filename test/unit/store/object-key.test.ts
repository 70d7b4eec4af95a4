import { describe, expect, it } from 'vitest';
import { isObjectKey, requireKeyPrefix, requireObjectKey } from '../../../src/store/object-key.ts';

const GOOD = [
  'walhold.json',
  'wal/00000001.history.zst',
  'wal/00000001/0000000100000000/000000010000000000000001.zst.age',
  'backup/20261122T174500Z-full/part-1.tar.zst',
  '-',
  '_/_',
];
const BAD = [
  '',
  '/',
  'a/',
  '/a',
  'a//b',
  '.',
  '..',
  'a/..',
  '.a',
  'a/.b',
  'a b',
  'a\0',
  'a\\b',
  'é',
  'a:b',
  'a?b',
  'a#b',
];

describe('an object key', () => {
  it.each(GOOD)('may be %s', (key) => {
    expect(isObjectKey(key)).toBe(true);
    requireObjectKey(key);
  });

  it.each([...BAD, 'x'.repeat(256), Array.from({ length: 8 }, () => 'x'.repeat(100)).join('/')])(
    'may not be %j',
    (key) => {
      expect(isObjectKey(key)).toBe(false);
      expect(() => requireObjectKey(key)).toThrow(expect.objectContaining({ code: 'bad-format' }) as Error);
    },
  );
});

describe('the beginning of a key', () => {
  it.each(['', 'a', 'a/', 'wal/00000001/', 'wal/000', 'a/b-'])('may be %j', (prefix) => {
    requireKeyPrefix(prefix);
  });

  it.each(['/', '/a', 'a//', '../', 'a/../', 'a/.', '.', 'a b', 'a/b c'])('may not be %j', (prefix) => {
    expect(() => requireKeyPrefix(prefix)).toThrow(expect.objectContaining({ code: 'bad-format' }) as Error);
  });
});
