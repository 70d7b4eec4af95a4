import { describe, expect, it } from 'vitest';
import { ChunkQueue } from '../../../src/stream/chunk-queue.ts';

const chunk = (text: string): Uint8Array => Buffer.from(text);

async function textOf(queue: ChunkQueue): Promise<string> {
  let text = '';
  for await (const each of queue) text += Buffer.from(each).toString();
  return text;
}

/** `pending` unless the promise is settled by what has happened so far. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  const settled = promise.then(
    () => 'done',
    () => 'failed',
  );
  await new Promise((resolve) => setImmediate(resolve));
  return Promise.race([settled, Promise.resolve('pending')]);
}

describe('a queue of chunks', () => {
  it('hands on what was pushed before and after its reader came, and ends', async () => {
    const queue = new ChunkQueue();
    queue.push(chunk('a'));
    const text = textOf(queue);
    await stateOf(text);
    queue.push(chunk('b'));
    queue.push(chunk('c'));
    queue.end();
    expect(await text).toBe('abc');
  });

  it('holds its producer up until enough was taken', async () => {
    const queue = new ChunkQueue();
    queue.push(chunk('four'));
    queue.push(chunk('four'));
    const drained = queue.drained(4);
    expect(await stateOf(drained)).toBe('pending');
    const reader = queue[Symbol.asyncIterator]();
    await reader.next();
    expect(await stateOf(drained)).toBe('pending');
    await reader.next();
    expect(await stateOf(drained)).toBe('done');
  });

  it('throws its failure to a reader that waits, and lets the producer go', async () => {
    const queue = new ChunkQueue();
    queue.push(chunk('lost'));
    const reading = textOf(queue);
    await stateOf(reading);
    queue.push(chunk('more'));
    const drained = queue.drained(0);
    queue.fail(new Error('stopped'));
    await expect(reading).rejects.toThrow('stopped');
    await drained;
  });

  it('does not hold its producer up when the reader has left', async () => {
    const queue = new ChunkQueue();
    queue.push(chunk('one'));
    queue.push(chunk('two'));
    for await (const each of queue) {
      expect(each.length).toBe(3);
      break;
    }
    await queue.drained(0);
  });
});
