import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { prepareIn } from '../../../src/worker/prepared-file.ts';
import { ThreadPool } from '../../../src/worker/thread-pool.ts';
import type { Prepared, ToPrepare } from '../../../src/worker/thread-protocol.ts';
import { UsedMemory } from '../../../src/worker/used-memory.ts';

const NAME = '000000010000000000000005';

/** Answers with the memory that it was given, or with some of its own, filled with the number of the question. */
const THREAD = `
const { parentPort } = require('node:worker_threads');
let asked = 0;
parentPort.on('message', (question) => {
  if (question.kind === 'end') return parentPort.close();
  asked += 1;
  const memory = question.memory ?? new ArrayBuffer(64);
  const bytes = new Uint8Array(memory, 0, 16).fill(asked);
  const own = question.memory === undefined;
  parentPort.postMessage({ kind: 'prepared', key: String(own), head: {}, bytes, warnings: [] }, [memory]);
});`;

const pool = new ThreadPool<ToPrepare, Prepared>(() => new Worker(THREAD, { eval: true }), 1);
afterEach(() => pool.rest());

test('the memory of a file goes to the next one once it is released, and not before', async () => {
  const memory = new UsedMemory(2);
  const ask = async (): ReturnType<typeof prepareIn> => await prepareIn(pool, memory, { name: NAME, path: NAME });
  const first = await ask();
  const second = await ask();
  expect([first.wal.key, second.wal.key]).toEqual(['true', 'true']);
  first.release();
  const third = await ask();
  expect(third.wal.key).toBe('false');
  expect([...second.wal.encoded.bytes]).toEqual(Array.from({ length: 16 }, () => 2));
  expect([...third.wal.encoded.bytes]).toEqual(Array.from({ length: 16 }, () => 3));
});

test('no more is kept than was asked for', () => {
  const memory = new UsedMemory(2);
  const given = [8, 16, 24].map((size) => new ArrayBuffer(size));
  for (const one of given) memory.give(one);
  expect([memory.take(), memory.take(), memory.take()]).toEqual([given[1], given[0], undefined]);
  memory.give(new ArrayBuffer(8));
  memory.clear();
  expect(memory.take()).toBeUndefined();
});
