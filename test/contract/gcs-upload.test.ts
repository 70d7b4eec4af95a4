import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../src/base/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { patternBytes, pieces } from '../support/bytes.ts';
import { json, refusal } from '../support/fake-gcs-messages.ts';
import type { GcsOperation } from '../support/fake-gcs-routes.ts';
import { FAKE_CHUNK_BYTES, fakeGcsWithStores } from '../support/fake-gcs-store.ts';
import { send } from '../support/fake-s3.ts';
import { drops, hangs, losesAnswer, meanwhile, says, waitsFor, type Fault } from '../support/fake-s3-faults.ts';

const { signal } = new AbortController();
const content = patternBytes(4 * FAKE_CHUNK_BYTES + 1);
const small = patternBytes(1000);
const other = patternBytes(content.byteLength, 2);

function create(store: Store, bytes: Uint8Array = content): Promise<'created' | 'exists'> {
  return store.create('part', { kind: 'stream', chunks: pieces(bytes, 33_000) }, { signal });
}

/** As if a bit of the last byte had turned on the way. */
const receivesDamaged: Fault = (request, carryOut, response) => {
  const at = request.body.byteLength - (request.method === 'POST' ? 60 : 1);
  request.body.writeUInt8(request.body.readUInt8(at) ^ 1, at);
  send(response, carryOut(), request.method);
};

/** The store keeps less of a chunk than was sent, and says how much, or says nothing. */
function keepsPart(bytes: number, answers: boolean): Fault {
  return (request, carryOut, response) => {
    const [first] = /\d+/.exec(request.headers['content-range'] ?? '') ?? ['0'];
    const last = Number(first) + bytes - 1;
    request.body = request.body.subarray(0, bytes);
    request.headers = { ...request.headers, 'content-range': `bytes ${first}-${last}/*` };
    const reply = carryOut();
    if (answers) send(response, reply, request.method);
    else response.destroy();
  };
}

/** What may go wrong and mend itself, at every step of an upload. */
const PASSING: [string, Fault][] = [
  ['503', says(refusal(503, 'backendError'))],
  ['429', says(refusal(429, 'rateLimitExceeded'))],
  ['a dropped connection', drops],
  ['no answer', hangs],
];
const STEPS: GcsOperation[] = ['begin', 'chunk'];

describe('a stream sent to GCS in chunks', () => {
  it.each(STEPS.flatMap((step) => PASSING.map(([name, fault]) => ({ step, name, fault }))))(
    'is whole in spite of $name at $step, with no part of the source read twice',
    async ({ step, fault }) => {
      await using at = await fakeGcsWithStores({ requestTimeoutMs: 200 });
      at.fake.fail(fault, { operation: step, times: 3 });
      expect(await create(at.retrying)).toBe('created');
      expect(at.bucket.live('repo/part')?.bytes.equals(content)).toBe(true);
      expect(at.fake.allFaultsMet).toBe(true);
    },
  );

  it.each([1, 2, 3, 4, 5])('is whole when the answer to chunk %i is lost', async (chunk) => {
    await using at = await fakeGcsWithStores();
    const usual = waitsFor(Promise.resolve());
    if (chunk > 1) at.fake.fail(usual, { operation: 'chunk', times: chunk - 1 });
    at.fake.fail(losesAnswer, { operation: 'chunk' });
    expect(await create(at.retrying)).toBe('created');
    expect(at.bucket.live('repo/part')?.bytes.equals(content)).toBe(true);
    expect(at.bucket.generations.get('repo/part')).toHaveLength(1);
    expect(at.fake.allFaultsMet).toBe(true);
  });

  it.each([true, false])('goes on from where the store has got, told at once: %s', async (answers) => {
    const chunkUnit = FAKE_CHUNK_BYTES / 4;
    await using at = await fakeGcsWithStores({ chunkUnit });
    at.fake.fail(keepsPart(chunkUnit, answers), { operation: 'chunk' });
    // The question how far it has got.
    if (!answers) at.fake.fail(waitsFor(Promise.resolve()), { operation: 'chunk' });
    at.fake.fail(keepsPart(2 * chunkUnit, true), { operation: 'chunk' });
    expect(await create(at.retrying)).toBe('created');
    expect(at.bucket.live('repo/part')?.bytes.equals(content)).toBe(true);
  });

  it.each([
    ['in chunks', content, 'chunk'],
    ['in one request', small, 'insert'],
  ] as const)("does not take somebody else's object for its own, %s", async (_, bytes, operation) => {
    await using at = await fakeGcsWithStores();
    const usual = waitsFor(Promise.resolve());
    if (operation === 'chunk') at.fake.fail(usual, { operation, times: 4 });
    at.fake.fail(drops, { operation });
    at.fake.fail(
      meanwhile(() => at.bucket.live('repo/part') ?? at.bucket.add('repo/part', other)),
      { operation },
    );
    expect(await create(at.retrying, bytes)).toBe('exists');
    expect(at.bucket.live('repo/part')?.bytes.equals(other)).toBe(true);
    expect(at.bucket.generations.get('repo/part')).toHaveLength(1);
  });

  it.each([
    ['in chunks', content, 'chunk'],
    ['in one request', small, 'insert'],
  ] as const)('recognises its own object %s when the answer was lost', async (_, bytes, operation) => {
    await using at = await fakeGcsWithStores();
    if (operation === 'chunk') at.fake.fail(waitsFor(Promise.resolve()), { operation, times: 4 });
    at.fake.fail(losesAnswer, { operation });
    // The session may be forgotten as soon as it is done.
    if (operation === 'chunk') {
      at.fake.fail(
        meanwhile(() => at.fake.sessions.clear()),
        { operation },
      );
    }
    expect(await create(at.retrying, bytes)).toBe('created');
    expect(at.bucket.live('repo/part')?.bytes.equals(bytes)).toBe(true);
    expect(at.fake.requests.at(-1)).toBe('get');
  });

  it('gives way to a taken name before it sends a byte', async () => {
    await using at = await fakeGcsWithStores();
    at.bucket.add('repo/part', other);
    expect(await create(at.once)).toBe('exists');
    expect(at.fake.requests).toEqual(['begin']);
  });

  it('gives way to an object that came while it was sent, and frees what it has sent', async () => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(waitsFor(Promise.resolve()), { operation: 'chunk', times: 3 });
    at.fake.fail(
      meanwhile(() => at.bucket.add('repo/part', other)),
      { operation: 'chunk' },
    );
    expect(await create(at.once)).toBe('exists');
    expect(at.fake.sessions.size).toBe(0);
    expect(at.bucket.live('repo/part')?.bytes.equals(other)).toBe(true);
  });

  it('sends the sum of everything with the last chunk: what arrived damaged never exists', async () => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(waitsFor(Promise.resolve()), { operation: 'chunk' });
    at.fake.fail(receivesDamaged, { operation: 'chunk' });
    const expected = { code: 'unreachable', detail: expect.stringContaining('not those sent') as string };
    await expect(create(at.retrying)).rejects.toMatchObject(expected);
    expect(at.bucket.names).toEqual([]);
    expect(at.fake.requests).not.toContain('delete');
    expect(await create(at.retrying)).toBe('created');
  });

  it('sends one request again whose bytes arrived damaged', async () => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(receivesDamaged, { operation: 'insert', times: 2 });
    expect(await create(at.retrying, small)).toBe('created');
    expect(at.bucket.live('repo/part')?.bytes.equals(small)).toBe(true);
  });

  it.each([
    ['in chunks', content],
    ['in one request', small],
  ])('says so when a store that compares nothing holds something else, and deletes nothing, %s', async (_, bytes) => {
    await using at = await fakeGcsWithStores({ ignores: ['checksums'] });
    at.fake.fail(receivesDamaged, { operation: bytes === small ? 'insert' : 'chunk' });
    await expect(create(at.once, bytes)).rejects.toMatchObject({
      code: 'store-rejected',
      detail: expect.stringContaining('not what was sent') as string,
    });
    expect(at.fake.requests).not.toContain('delete');
    expect(at.bucket.names).toEqual(['repo/part']);
  });

  it('asks to start over when the session is gone', async () => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(waitsFor(Promise.resolve()), { operation: 'chunk' });
    at.fake.fail(
      meanwhile(() => at.fake.sessions.clear()),
      { operation: 'chunk' },
    );
    const expected = { code: 'unreachable', hint: expect.stringContaining('tart over') as string };
    await expect(create(at.retrying)).rejects.toMatchObject(expected);
    expect(await create(at.retrying)).toBe('created');
  });

  it('asks to start over when the store has lost what it had confirmed', async () => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(waitsFor(Promise.resolve()), { operation: 'chunk', times: 2 });
    at.fake.fail(says({ status: 308, headers: { range: 'bytes=0-9' } }), { operation: 'chunk' });
    await expect(create(at.retrying)).rejects.toMatchObject({ code: 'unreachable', detail: /confirmed/ });
    expect(at.fake.sessions.size).toBe(0);
  });

  it.each(STEPS)('stops and frees what it has sent when %s is refused', async (operation) => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(says(refusal(403, 'forbidden')), { operation });
    await expect(create(at.retrying)).rejects.toMatchObject({ code: 'denied' });
    expect(at.fake.sessions.size).toBe(0);
    expect(at.bucket.names).toEqual([]);
  });

  it('lets go of its source at the first chunk that is refused', async () => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(says(refusal(403, 'forbidden')), { operation: 'chunk' });
    let ended = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          await new Promise((resolve) => setImmediate(resolve));
          yield new Uint8Array(10_000);
        }
      } finally {
        ended = true;
      }
    }
    const creating = at.once.create('part', { kind: 'stream', chunks: endless() }, { signal });
    await expect(creating).rejects.toMatchObject({ code: 'denied' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(ended).toBe(true);
  });

  it.each([1, 2, 3])('sends no empty chunk when the stream ends with the %ith', async (chunks) => {
    await using at = await fakeGcsWithStores();
    const full = patternBytes(chunks * FAKE_CHUNK_BYTES);
    expect(await create(at.once, full)).toBe('created');
    expect(at.fake.requests).toEqual(['begin', ...Array.from({ length: chunks }, () => 'chunk')]);
    expect(at.bucket.live('repo/part')?.bytes.equals(full)).toBe(true);
  });

  it('frees what it has sent when the source fails or the caller gives up', async () => {
    await using at = await fakeGcsWithStores();
    const controller = new AbortController();
    const reason = new WalholdError('interrupted', 'told to stop');
    async function* source(end: () => void): AsyncGenerator<Uint8Array> {
      yield* pieces(content, 33_000);
      end();
    }
    const failing = source(() => {
      throw new Error('the source failed');
    });
    await expect(at.once.create('part', { kind: 'stream', chunks: failing }, { signal })).rejects.toThrow(
      'source failed',
    );
    const stopping = source(() => controller.abort(reason));
    const two = at.once.create('part', { kind: 'stream', chunks: stopping }, { signal: controller.signal });
    await expect(two).rejects.toBe(reason);
    expect(at.fake.sessions.size).toBe(0);
    expect(at.bucket.names).toEqual([]);
    expect(at.fake.requests.filter((asked) => asked === 'cancel')).toHaveLength(2);
  });

  it('tells at the deadline what the store did', async () => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(says(refusal(503, 'backendError')), { operation: 'chunk', times: 1_000_000 });
    const deadline = new AbortController();
    setTimeout(() => deadline.abort(new WalholdError('deadline', 'out of time')), 200);
    const body = { kind: 'stream' as const, chunks: pieces(content, 33_000) };
    await expect(at.retrying.create('part', body, { signal: deadline.signal })).rejects.toMatchObject({
      code: 'unreachable',
      detail: expect.stringContaining('backendError') as string,
    });
  });

  it('reads no more of the source than its buffers can hold', async () => {
    await using at = await fakeGcsWithStores();
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    at.fake.fail(waitsFor(released), { operation: 'chunk' });
    const all = patternBytes(20 * FAKE_CHUNK_BYTES);
    let taken = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces(all, FAKE_CHUNK_BYTES / 4)) {
        taken += piece.byteLength;
        yield piece;
      }
    }
    const creating = at.once.create('part', { kind: 'stream', chunks: counted() }, { signal });
    while (!at.fake.requests.includes('chunk')) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(taken).toBe(3 * FAKE_CHUNK_BYTES);
    release();
    expect(await creating).toBe('created');
    expect(at.bucket.live('repo/part')?.bytes.equals(all)).toBe(true);
  });

  it('sends the key with objects of one request and of several, and the session to its own endpoint', async () => {
    await using at = await fakeGcsWithStores();
    const store = at.store({ kmsKey: 'projects/p/locations/l/keyRings/r/cryptoKeys/k' });
    at.fake.fail((request, carryOut, response) => {
      const reply = carryOut();
      const location = String(reply.headers?.['location']).replace(/^http:\/\/[^/]+/, 'http://127.0.0.1:1');
      send(response, { ...reply, headers: { location } }, request.method);
    });
    await create(store);
    await store.create('single', { kind: 'buffer', bytes: small }, { signal });
    for (const name of ['repo/part', 'repo/single']) {
      expect(at.bucket.live(name), name).toMatchObject({ kmsKey: 'projects/p/locations/l/keyRings/r/cryptoKeys/k' });
    }
  });

  it.each<[GcsOperation, string]>([
    ['begin', 'a page'],
    ['chunk', 'a page'],
    ['insert', 'a page'],
    ['chunk', 'another object'],
    ['insert', 'another object'],
  ])('takes no answer to %s for success that is %s', async (operation, what) => {
    await using at = await fakeGcsWithStores();
    const object = { name: 'x', generation: '1', size: '5', timeCreated: '2026-11-22T00:00:00Z', crc32c: 'AAAAAA==' };
    const reply = what === 'a page' ? { status: 200, body: Buffer.from('<html>hello</html>') } : json(object);
    at.fake.fail(says(reply), { operation });
    await expect(create(at.once, operation === 'insert' ? small : content)).rejects.toMatchObject({
      name: 'WalholdError',
    });
    expect(at.fake.allFaultsMet).toBe(true);
    expect(at.bucket.names).toEqual([]);
  });
});
