import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SILENT } from '../../../src/base/log.ts';
import { parseWalName } from '../../../src/postgres/wal-name.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { pushInto, type PushOutcome } from '../../../src/repository/wal-archive.ts';
import { prepareWal, type PreparedWal } from '../../../src/repository/wal-object.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { nameOf, segmentBytes } from '../../support/made-segments.ts';

const { signal } = new AbortController();
const options = { level: 1, by: 'a test', at: new Date(0), cluster: { systemId: SYSTEM_ID } };

let stored: FileRepository;
let wal: PreparedWal;
/** Bytes asked for by each reading; `undefined`: all. */
let readings: (number | undefined)[];

beforeEach(async () => {
  stored = await FileRepository.create();
  const file = parseWalName(nameOf(5));
  if (file === undefined) throw new Error('no name');
  wal = prepareWal(file, segmentBytes(5), options);
  readings = [];
});
afterEach(async () => await stored[Symbol.asyncDispose]());

function watched(): Repository {
  const { store } = stored.repository;
  return {
    ...stored.repository,
    store: {
      ...store,
      open(key, asked) {
        readings.push(asked.range?.bytes);
        return store.open(key, asked);
      },
    },
  };
}

const push = (more: { expected?: boolean } = {}): Promise<PushOutcome> =>
  pushInto(watched(), wal, { signal, log: SILENT, ...more });

describe('a push over an object that is there', () => {
  it('reads all of it before it takes it for the same', async () => {
    expect(await push()).toBe('stored');
    expect(readings).toEqual([]);
    expect(await push()).toBe('present');
    expect(readings).toEqual([4096, undefined]);
  });

  it('takes the word of its head where this host has just seen it stored', async () => {
    await push();
    expect(await push({ expected: true })).toBe('present');
    expect(readings).toEqual([4096]);
  });

  it('fails where any byte has turned, with both digests, and changes nothing', async () => {
    await push();
    const path = join(stored.root, wal.key);
    const good = await readFile(path);
    const { sha256 } = wal.encoded.head;
    for (const at of [9, 20, 300, good.length - wal.encoded.head.storedBytes, good.length - 100, good.length - 1]) {
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
      await writeFile(path, bad);
      await expect(push(), `byte ${at}`).rejects.toMatchObject({
        code: 'damaged',
        detail: expect.stringContaining(`to be stored is SHA-256 ${sha256}, the object says `) as string,
      });
      expect((await readFile(path)).equals(bad)).toBe(true);
    }
  });
});
