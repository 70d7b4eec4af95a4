import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../src/base/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { patternBytes, pieces } from '../support/bytes.ts';
import {
  answers,
  asUsual,
  drops,
  errorInside200,
  hangs,
  losesAnswer,
  meanwhile,
  receivesDamaged,
  says,
  waitsFor,
  type Fault,
} from '../support/fake-s3-faults.ts';
import { tag, xml } from '../support/fake-s3-messages.ts';
import type { Operation } from '../support/fake-s3-routes.ts';
import { FAKE_PART_BYTES, fakeWithStores } from '../support/fake-s3-store.ts';

const { signal } = new AbortController();
const content = patternBytes(4 * FAKE_PART_BYTES + 1);
const small = patternBytes(1000);
const other = patternBytes(content.byteLength, 2);

function create(store: Store, bytes: Uint8Array = content): Promise<'created' | 'exists'> {
  return store.create('part', { kind: 'stream', chunks: pieces(bytes, 33_000) }, { signal });
}

/** What may go wrong and mend itself, at every step of an upload. */
const PASSING: [string, Fault][] = [
  ['503', answers(503, 'SlowDown')],
  ['a dropped connection', drops],
  ['no answer', hangs],
];
const STEPS: Operation[] = ['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'];

describe('a stream sent to S3 in parts', () => {
  it.each(STEPS.flatMap((step) => PASSING.map(([name, fault]) => ({ step, name, fault }))))(
    'is whole in spite of $name at $step, with no part of the source read twice',
    async ({ step, fault }) => {
      await using at = await fakeWithStores({ requestTimeoutMs: 300 });
      at.fake.fail(fault, { operation: step, times: 2 });
      expect(await create(at.retrying)).toBe('created');
      expect(at.bucket.current('repo/part')?.bytes?.equals(content)).toBe(true);
      expect(at.fake.allFaultsMet).toBe(true);
    },
  );

  it('sends a part again that arrived damaged', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(receivesDamaged, { operation: 'UploadPart', times: 2 });
    expect(await create(at.retrying)).toBe('created');
    expect(at.bucket.current('repo/part')?.bytes?.equals(content)).toBe(true);
  });

  it.each([
    ['InternalError', 'created'],
    ['SlowDown', 'created'],
  ])('completes again after a 200 with %s inside', async (code, result) => {
    await using at = await fakeWithStores();
    at.fake.fail(errorInside200(code), { operation: 'CompleteMultipartUpload', times: 2 });
    expect(await create(at.retrying)).toBe(result);
    expect(at.bucket.current('repo/part')?.bytes?.equals(content)).toBe(true);
  });

  it('does not take a 200 with an error inside for success', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(errorInside200('InternalError'), { operation: 'CompleteMultipartUpload' });
    await expect(create(at.once)).rejects.toMatchObject({ code: 'unreachable' });
    expect(at.bucket.keys).toEqual([]);
    expect(at.bucket.uploads.size).toBe(0);
  });

  it.each([
    ['in parts', content, 'CompleteMultipartUpload'],
    ['in one request', small, 'PutObject'],
  ] as const)('recognises its own object %s when the answer was lost', async (_, bytes, operation) => {
    await using at = await fakeWithStores();
    at.fake.fail(losesAnswer, { operation, times: 2 });
    expect(await create(at.retrying, bytes)).toBe('created');
    expect(at.bucket.current('repo/part')?.bytes?.equals(bytes)).toBe(true);
    expect(at.bucket.versions.get('repo/part')).toHaveLength(1);
  });

  it.each([
    ['in parts', content, 'CompleteMultipartUpload'],
    ['in one request', small, 'PutObject'],
  ] as const)("does not take somebody else's object for its own, %s", async (_, bytes, operation) => {
    await using at = await fakeWithStores();
    at.fake.fail(drops, { operation });
    at.fake.fail(
      meanwhile(() => at.bucket.add('repo/part', other)),
      { operation },
    );
    expect(await create(at.retrying, bytes)).toBe('exists');
    expect(at.bucket.current('repo/part')?.bytes?.equals(other)).toBe(true);
    expect(at.bucket.uploads.size).toBe(0);
  });

  it('gives way to an object that came while it was sent, and frees its parts', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(
      meanwhile(() => at.bucket.add('repo/part', other)),
      { operation: 'CompleteMultipartUpload' },
    );
    expect(await create(at.once)).toBe('exists');
    expect(at.bucket.uploads.size).toBe(0);
    expect(at.bucket.versions.get('repo/part')).toHaveLength(1);
  });

  it('asks to start over after a conflict at the end, which kills an upload', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(409, 'ConditionalRequestConflict'), { operation: 'CompleteMultipartUpload' });
    const expected = { code: 'upload-lost', hint: expect.stringContaining('tart over') as string };
    await expect(create(at.retrying)).rejects.toMatchObject(expected);
    expect(at.fake.requests.filter((one) => one === 'CompleteMultipartUpload')).toHaveLength(1);
    expect(at.bucket.uploads.size).toBe(0);
    expect(await create(at.retrying)).toBe('created');
  });

  it('asks to start over when the upload is gone', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(
      meanwhile(() => at.bucket.uploads.clear()),
      { operation: 'CompleteMultipartUpload' },
    );
    await expect(create(at.retrying)).rejects.toMatchObject({ code: 'upload-lost' });
  });

  it('waits for its own completion, whose answer was lost, when a repetition of it meets a conflict', async () => {
    await using at = await fakeWithStores();
    let finish = (): void => undefined;
    // It goes on behind the connection that has broken, and is done only when somebody has looked for it.
    at.fake.fail(
      (_, carryOut, response) => {
        finish = () => void carryOut();
        response.destroy();
      },
      { operation: 'CompleteMultipartUpload' },
    );
    at.fake.fail(answers(409, 'ConditionalRequestConflict'), { operation: 'CompleteMultipartUpload' });
    at.fake.fail(asUsual, { operation: 'HeadObject', times: 2 });
    at.fake.fail(
      meanwhile(() => finish()),
      { operation: 'HeadObject' },
    );
    expect(await create(at.retrying)).toBe('created');
    expect(at.fake.allFaultsMet).toBe(true);
    expect(at.bucket.current('repo/part')?.bytes?.equals(content)).toBe(true);
  });

  it('calls it lost when after a conflict and some looks there is nothing', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(drops, { operation: 'CompleteMultipartUpload' });
    at.fake.fail(answers(409, 'ConditionalRequestConflict'), { operation: 'CompleteMultipartUpload' });
    await expect(create(at.retrying)).rejects.toMatchObject({ code: 'upload-lost' });
    expect(at.fake.requests.filter((one) => one === 'HeadObject')).toHaveLength(5);
    expect(at.bucket.uploads.size).toBe(0);
  });

  it.each(STEPS)('stops and frees its parts when %s is refused', async (operation) => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(403, 'AccessDenied'), { operation });
    await expect(create(at.retrying)).rejects.toMatchObject({ code: 'denied' });
    expect(at.bucket.uploads.size).toBe(0);
    expect(at.bucket.keys).toEqual([]);
  });

  it('lets go of its source at the first part that is refused', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(403, 'AccessDenied'), { operation: 'UploadPart' });
    let taken = 0;
    let ended = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          await new Promise((resolve) => setImmediate(resolve));
          taken += 10_000;
          yield new Uint8Array(10_000);
        }
      } finally {
        ended = true;
      }
    }
    const creating = at.once.create('part', { kind: 'stream', chunks: endless() }, { signal });
    await expect(creating).rejects.toMatchObject({ code: 'denied' });
    const whenRefused = taken;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(taken).toBeLessThanOrEqual(whenRefused + 10_000);
    expect(ended).toBe(true);
  });

  it('sends no empty part when the stream ends with one that is full', async () => {
    await using at = await fakeWithStores();
    const full = patternBytes(3 * FAKE_PART_BYTES);
    expect(await create(at.once, full)).toBe('created');
    expect(at.fake.requests.filter((asked) => asked === 'UploadPart')).toHaveLength(3);
    expect(at.bucket.current('repo/part')?.bytes?.equals(full)).toBe(true);
  });

  it('frees its parts when the source fails or the caller gives up', async () => {
    await using at = await fakeWithStores();
    const controller = new AbortController();
    const reason = new WalholdError('interrupted', 'told to stop');
    async function* source(end: () => void): AsyncGenerator<Uint8Array> {
      yield* pieces(content, 33_000);
      end();
    }
    const failing = source(() => {
      throw new Error('the source failed');
    });
    const one = at.once.create('part', { kind: 'stream', chunks: failing }, { signal });
    await expect(one).rejects.toThrow('the source failed');
    const stopping = source(() => controller.abort(reason));
    const two = at.once.create('part', { kind: 'stream', chunks: stopping }, { signal: controller.signal });
    await expect(two).rejects.toBe(reason);
    expect(at.bucket.uploads.size).toBe(0);
    expect(at.bucket.keys).toEqual([]);
    expect(at.fake.requests.filter((asked) => asked === 'AbortMultipartUpload')).toHaveLength(2);
  });

  it('lets go of a failure to free its parts', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(403, 'AccessDenied'), { operation: 'AbortMultipartUpload' });
    at.bucket.add('repo/part', other);
    expect(await create(at.once)).toBe('exists');
    expect(at.fake.allFaultsMet).toBe(true);
  });

  it('tells at the deadline what the store did', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(503, 'SlowDown'), { operation: 'UploadPart', times: 1_000_000 });
    const deadline = new AbortController();
    setTimeout(() => deadline.abort(new WalholdError('deadline', 'out of time')), 200);
    const body = { kind: 'stream' as const, chunks: pieces(content, 33_000) };
    await expect(at.retrying.create('part', body, { signal: deadline.signal })).rejects.toMatchObject({
      code: 'unreachable',
      detail: expect.stringContaining('SlowDown') as string,
    });
  });

  it('reads no more of the source than its buffers can hold', async () => {
    await using at = await fakeWithStores();
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    at.fake.fail(waitsFor(released), { operation: 'UploadPart', times: 3 });
    let taken = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces(patternBytes(20 * FAKE_PART_BYTES), FAKE_PART_BYTES / 4)) {
        taken += piece.byteLength;
        yield piece;
      }
    }
    const store = await at.store({ partBuffers: 3 });
    const creating = store.create('part', { kind: 'stream', chunks: counted() }, { signal });
    while (at.fake.requests.filter((one) => one === 'UploadPart').length < 3) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(taken).toBe(3 * FAKE_PART_BYTES);
    expect(at.fake.requests.filter((one) => one === 'UploadPart')).toHaveLength(3);
    release();
    expect(await creating).toBe('created');
    expect(at.bucket.current('repo/part')?.bytes?.equals(patternBytes(20 * FAKE_PART_BYTES))).toBe(true);
  });

  it('sends key and storage class with objects of one request and of several', async () => {
    await using at = await fakeWithStores();
    const store = await at.store({ kmsKey: 'arn:aws:kms:key', storageClass: 'STANDARD_IA' });
    await create(store);
    await store.create('single', { kind: 'buffer', bytes: small }, { signal });
    for (const key of ['repo/part', 'repo/single']) {
      expect(at.bucket.current(key)?.headers, key).toMatchObject({
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'arn:aws:kms:key',
        'x-amz-storage-class': 'STANDARD_IA',
      });
    }
  });

  it('takes no completion without an ETag for success', async () => {
    await using at = await fakeWithStores();
    const body = xml('CompleteMultipartUploadResult', tag('Key', 'repo/part'));
    at.fake.fail(says({ status: 200, body }), { operation: 'CompleteMultipartUpload' });
    await expect(create(at.once)).rejects.toMatchObject({ code: 'store-rejected' });
  });

  it.each<Operation>([...STEPS, 'PutObject'])('takes no page of a proxy for the success of %s', async (operation) => {
    await using at = await fakeWithStores();
    at.fake.fail(says({ status: 200, body: Buffer.from('<html>hello</html>') }), { operation });
    const bytes = operation === 'PutObject' ? small : content;
    await expect(create(at.once, bytes)).rejects.toMatchObject({ name: 'WalholdError' });
    expect(at.fake.allFaultsMet).toBe(true);
    expect(at.bucket.keys).toEqual([]);
  });
});
