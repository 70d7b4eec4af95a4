import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../../src/base/errors.ts';
import { EarlyRead } from '../../../../src/commands/restore/early-read.ts';
import type { OpenedObject } from '../../../../src/store/store.ts';

const MIB = 1024 * 1024;
const { signal } = new AbortController();
const info = { key: 'k', bytes: 0, storedAt: new Date(0), tag: 't' };

/** Chunks of 1 MiB, the n-th filled with n, and how many were asked for. */
class Source {
  asked = 0;
  isEnded = false;
  readonly #chunks: number;
  readonly #failure: Error | undefined;
  signal: AbortSignal | undefined;

  constructor(chunks: number, failure?: Error) {
    this.#chunks = chunks;
    this.#failure = failure;
  }

  readonly open = (given: AbortSignal): Promise<OpenedObject> => {
    this.signal = given;
    return Promise.resolve({ info, chunks: this.#read() });
  };

  // oxlint-disable-next-line typescript/require-await -- as a store's chunks
  async *#read(): AsyncGenerator<Uint8Array> {
    try {
      for (let n = 0; n < this.#chunks; n += 1) {
        this.asked += 1;
        yield Buffer.alloc(MIB, n);
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.isEnded = true;
    }
  }
}

/** Until nothing moves any more: a source without timers needs no longer. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('a read that begins before its turn', () => {
  it('takes a bounded share before anybody asks, and the rest as that is used up', async () => {
    const source = new Source(9);
    const read = new EarlyRead(source.open, signal);
    await settled();
    expect(source.asked).toBe(4);
    expect(read.claim()).toBe(true);
    expect(read.claim()).toBe(false);
    const opened = await read.opened;
    const firsts: (number | undefined)[] = [];
    for await (const chunk of opened?.chunks ?? []) {
      firsts.push(chunk[0]);
      expect(source.asked - firsts.length).toBeLessThanOrEqual(4);
    }
    expect(firsts).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(source.isEnded).toBe(true);
  });

  it('tells of a failure after what came before it', async () => {
    const read = new EarlyRead(new Source(2, new WalholdError('unreachable', 'gone')).open, signal);
    await settled();
    const came: number[] = [];
    const all = async (): Promise<void> => {
      for await (const chunk of (await read.opened)?.chunks ?? []) came.push(chunk.length);
    };
    await expect(all()).rejects.toMatchObject({ code: 'unreachable' });
    expect(came).toEqual([MIB, MIB]);
  });

  it('tells of a store that gives nothing, or refuses', async () => {
    expect(await new EarlyRead(() => Promise.resolve(undefined), signal).opened).toBeUndefined();
    const refused = new EarlyRead(() => Promise.reject(new WalholdError('denied', 'no')), signal);
    await settled();
    await expect(refused.opened).rejects.toMatchObject({ code: 'denied' });
  });

  it('ends the transfer when it is dropped, or left', async () => {
    const source = new Source(9);
    const dropped = new EarlyRead(source.open, signal);
    await settled();
    dropped.drop();
    await settled();
    expect([source.signal?.aborted, source.isEnded]).toEqual([true, true]);
    const other = new Source(9);
    const left = new EarlyRead(other.open, signal);
    for await (const _ of (await left.opened)?.chunks ?? []) break;
    await settled();
    expect(other.isEnded).toBe(true);
  });
});
