import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keptRoom } from '../../../src/base/room.ts';
import { WalholdError } from '../../../src/base/errors.ts';
import { ensureRoot, fileStore } from '../../../src/store/file.ts';
import { readAll } from '../../../src/store/read-all.ts';
import { retryPolicy } from '../../../src/store/retry.ts';
import type { Store } from '../../../src/store/store.ts';
import { withRetry } from '../../../src/store/with-retry.ts';
import { patternBytes } from '../../support/bytes.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const { signal } = new AbortController();
const content = patternBytes(3_500_000);
const maxBytes = 4_000_000;

let root = '';
let store: Store;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'walhold-read-all-'));
  await ensureRoot(root);
  store = fileStore({ root });
  await store.create('large', { kind: 'buffer', bytes: content }, { signal });
  await store.create('small', { kind: 'buffer', bytes: content.subarray(0, 1000) }, { signal });
});
afterEach(async () => await rm(root, { recursive: true, force: true }));

describe('an object that is read whole', () => {
  it('lies in the room, and the next one in the same', async () => {
    const room = keptRoom();
    const first = await readAll(store, 'large', { signal, maxBytes, room });
    expect(first?.bytes.equals(content)).toBe(true);
    expect(first?.bytes.buffer).toBe(room(1).buffer);
    const again = await readAll(store, 'large', { signal, maxBytes, room });
    expect(again?.bytes.buffer).toBe(first?.bytes.buffer);
  });

  it('without a room has memory of its own', async () => {
    const [first, second] = [
      await readAll(store, 'large', { signal, maxBytes }),
      await readAll(store, 'large', { signal, maxBytes }),
    ];
    expect(first?.bytes.equals(content)).toBe(true);
    expect(second?.bytes.equals(content)).toBe(true);
    expect(first?.bytes.buffer).not.toBe(second?.bytes.buffer);
  });

  it('is as well a small one, or a range', async () => {
    const room = keptRoom();
    const small = await readAll(store, 'small', { signal, maxBytes, room });
    expect(small?.bytes.equals(content.subarray(0, 1000))).toBe(true);
    const range = { offset: 1_000_000, bytes: 2_000_000 };
    const part = await readAll(store, 'large', { signal, maxBytes, room, range });
    expect(part?.bytes.equals(content.subarray(1_000_000, 3_000_000))).toBe(true);
  });

  it('is refused when it is larger than it may be', async () => {
    const asked: number[] = [];
    const room = (bytes: number): undefined => void asked.push(bytes);
    const reading = readAll(store, 'large', { signal, maxBytes: 3_000_000, room });
    await expect(reading).rejects.toMatchObject({ code: 'damaged' });
    // How large it is, is anybody's choice.
    expect(asked).toEqual([]);
  });

  it('is whole when the store breaks off, and what comes then would lie in the same room', async () => {
    let openings = 0;
    const breaking: Store = {
      ...store,
      async open(key, options) {
        openings += 1;
        const opened = await store.open(key, options);
        return opened === undefined
          ? undefined
          : { ...opened, chunks: openings === 1 ? first(opened.chunks) : opened.chunks };
      },
    };
    const clock = new ManualClock();
    clock.sleep = (ms) => (ms === 60_000 ? new Promise(() => undefined) : Promise.resolve());
    const retrying = withRetry(breaking, retryPolicy({ clock, random: () => 0, requestTimeoutMs: 60_000 }));
    const read = await readAll(retrying, 'large', { signal, maxBytes, room: keptRoom() });
    expect(read?.bytes.equals(content)).toBe(true);
    expect(openings).toBe(2);
  });
});

async function* first(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    throw new WalholdError('unreachable', 'could not', { detail: 'down' });
  }
}
