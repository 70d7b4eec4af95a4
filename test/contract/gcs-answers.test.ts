import { describe, expect, it } from 'vitest';
import type { WalholdError } from '../../src/base/errors.ts';
import type { GcsStore } from '../../src/store/gcs.ts';
import type { OpenedObject } from '../../src/store/store.ts';
import { bytesOf, collected, patternBytes } from '../support/bytes.ts';
import { json, refusal } from '../support/fake-gcs-messages.ts';
import { bearing, fakeGcsWithStores } from '../support/fake-gcs-store.ts';
import { cutsBody, drops, hangs, meanwhile, says, stallsBody } from '../support/fake-s3-faults.ts';

const { signal } = new AbortController();
const bytes = patternBytes(100);
const html = { status: 200, headers: { 'content-type': 'text/html' }, body: Buffer.from('<html>hello</html>') };

/** With the parts that every GCS store has. */
type Answering = Pick<GcsStore, 'stat' | 'open' | 'list' | 'create' | 'versions' | 'locks'>;

const CALLS: [string, (store: Answering) => Promise<unknown>][] = [
  ['stat', (store) => store.stat('k', { signal })],
  ['open', (store) => store.open('k', { signal })],
  ['a range', (store) => store.open('k', { signal, range: { offset: -4 } })],
  ['list', (store) => collected(store.list('', { signal }))],
  ['versions', (store) => collected(store.versions.list('', { signal }))],
  ['create', (store) => store.create('k', { kind: 'buffer', bytes }, { signal })],
  ['a lock', (store) => store.locks.look('k', { signal })],
];

/** Each with what must be in the hint. */
const ANSWERS: [number, string, string, string, RegExp][] = [
  [403, 'forbidden', 'x does not have storage.objects.list access to the bucket.', 'denied', /storage\.objects\.list/],
  [403, 'insufficientPermissions', '', 'denied', /credentials/],
  [403, 'accountDisabled', '', 'denied', /account/],
  [401, 'authError', 'Invalid Credentials', 'denied', /credentials/],
  [400, 'invalid', 'Invalid argument.', 'store-rejected', /^$/],
  [404, 'notFound', 'The specified bucket does not exist.', 'store-rejected', /bucket/],
  [302, '', '', 'store-rejected', /redirects/],
  [501, 'notImplemented', '', 'store-rejected', /gcs_endpoint/],
];

/** Reads the body, where an answer has one. */
async function read(answer: unknown): Promise<void> {
  if (typeof answer === 'object' && answer !== null && 'chunks' in answer)
    await bytesOf((answer as OpenedObject).chunks);
}

describe('what GCS answers', () => {
  it.each(ANSWERS)(
    '%i %s is an answer with a code and a hint, and not repeated',
    async (status, reason, message, ours, hint) => {
      await using at = await fakeGcsWithStores();
      for (const [name, call] of CALLS) {
        at.fake.requests.length = 0;
        at.fake.fail(says(refusal(status, reason, message)));
        const error: unknown = await call(at.retrying).catch((thrown: unknown) => thrown);
        expect(error, name).toMatchObject({ code: ours, detail: expect.stringContaining(String(status)) as string });
        expect((error as WalholdError).hint ?? '', name).toMatch(hint);
        expect(at.fake.requests, name).toHaveLength(1);
      }
    },
  );

  it.each([
    [503, 'backendError'],
    [500, 'internalError'],
    [429, 'rateLimitExceeded'],
    [403, 'userRateLimitExceeded'],
    [408, ''],
    [409, 'conflict'],
  ])('%i %s is worth repeating', async (status, reason) => {
    await using at = await fakeGcsWithStores();
    at.bucket.add('repo/there', bytes);
    for (const [name, call] of CALLS) {
      at.fake.fail(says(refusal(status, reason)));
      await expect(call(at.once), name).rejects.toMatchObject({ code: 'unreachable' });
      at.fake.fail(says(refusal(status, reason)), { times: 2 });
      await expect(call(at.retrying), name).resolves.not.toThrow();
      expect(at.fake.allFaultsMet).toBe(true);
    }
  });

  it.each([
    ['a dropped connection', drops],
    ['no answer', hangs],
    ['an answer cut short', cutsBody(2)],
    ['an answer that stops coming', stallsBody(2)],
  ])('%s is no answer', async (_, fault) => {
    await using at = await fakeGcsWithStores({ requestTimeoutMs: 100 });
    at.bucket.add('repo/k', bytes);
    for (const [name, call] of CALLS) {
      at.fake.fail(fault);
      await expect(call(at.once).then(read), name).rejects.toMatchObject({ code: 'unreachable' });
    }
  });

  it('is one request for each call, and no more for what is there', async () => {
    await using at = await fakeGcsWithStores();
    at.bucket.add('repo/there', bytes);
    await at.once.stat('there', { signal });
    await read(await at.once.open('there', { signal, range: { offset: -4 } }));
    await at.once.create('new', { kind: 'buffer', bytes }, { signal });
    expect(at.fake.requests).toEqual(['get', 'download', 'insert']);
    expect(at.fake.connections).toBe(1);
  });

  it('of a missing bucket is not that the object is missing', async () => {
    await using at = await fakeGcsWithStores();
    const store = at.store({ bucket: 'no-such-bucket' });
    for (const [name, call] of CALLS) {
      await expect(call(store), name).rejects.toMatchObject({
        code: 'store-rejected',
        hint: expect.stringContaining('bucket') as string,
      });
    }
  });

  it('when it is not GCS that answers 404, is not that the object is missing', async () => {
    await using at = await fakeGcsWithStores();
    for (const [name, call] of CALLS) {
      at.fake.fail(says({ ...html, status: 404 }), { times: 2 });
      await expect(call(at.once), name).rejects.toMatchObject({ code: 'store-rejected' });
      at.fake.forget();
    }
  });

  it.each([
    ['a page of a proxy', html],
    ['some other JSON', json({ hello: 'world' })],
    ['nothing', { status: 204 }],
  ])('is not taken for success when it is %s', async (_, reply) => {
    await using at = await fakeGcsWithStores();
    for (const [name, call] of CALLS) {
      at.fake.fail(says(reply));
      await expect(call(at.once), name).rejects.toMatchObject({ code: 'store-rejected' });
    }
  });

  it('of what credentials may not see is never that it is absent', async () => {
    await using at = await fakeGcsWithStores({ tokens: { blind: ['objects.create', 'objects.get'], none: [] } });
    for (const token of ['blind', 'none']) {
      const store = at.store({ authorization: bearing(token) });
      for (const [name, call] of CALLS.filter(([one]) => one !== 'create')) {
        await expect(call(store), `${token} ${name}`).rejects.toMatchObject({ code: 'denied' });
      }
    }
  });

  it('of a deleted object is that it is hidden, where the bucket keeps it', async () => {
    await using at = await fakeGcsWithStores({ bucket: { versioning: true } });
    at.bucket.add('repo/k', bytes);
    at.bucket.remove('repo/k', null);
    const hidden = { code: 'damaged', detail: expect.stringContaining('noncurrent') as string };
    await expect(at.once.stat('k', { signal })).rejects.toMatchObject(hidden);
    await expect(at.once.open('k', { signal })).rejects.toMatchObject(hidden);
  });

  it('of an object that appears between the two questions of an absence is that it was absent', async () => {
    await using at = await fakeGcsWithStores();
    at.fake.fail(
      meanwhile(() => at.bucket.add('repo/k', bytes)),
      { operation: 'list' },
    );
    expect(await at.once.stat('k', { signal })).toBeUndefined();
    expect(await at.once.stat('k', { signal })).toMatchObject({ bytes: 100 });
  });

  it('to a range may not be the whole', async () => {
    await using at = await fakeGcsWithStores({ ignores: ['ranges'] });
    at.bucket.add('repo/k', bytes);
    await expect(at.once.open('k', { signal, range: { offset: 10 } })).rejects.toMatchObject({
      code: 'store-rejected',
    });
  });

  it('tells the difference of the clocks', async () => {
    let aheadMs = 3_600_000;
    await using at = await fakeGcsWithStores({ now: () => Date.now() + aheadMs });
    expect(at.once.clockSkewMs()).toBeUndefined();
    await at.once.stat('k', { signal });
    expect(Math.abs((at.once.clockSkewMs() ?? 0) - aheadMs)).toBeLessThan(2_000);
    aheadMs = -60_000;
    at.fake.fail(says({ status: 503, headers: { date: new Date(Date.now() + aheadMs).toUTCString() } }));
    await at.once.stat('k', { signal }).catch(() => undefined);
    expect(Math.abs((at.once.clockSkewMs() ?? 0) - aheadMs)).toBeLessThan(2_000);
  });
});

describe('a listing of a bucket that others write to', () => {
  const HOSTILE = [
    'repo/',
    'repo//double',
    'repo/../up',
    'repo/.hidden',
    'repo/with space',
    'repo/per%cent',
    'repo/ünï',
  ];

  it('passes over what cannot be ours', async () => {
    await using at = await fakeGcsWithStores({ pageItems: 3 });
    const names = [...HOSTILE, 'repo/new\nline', 'repo/ends/', 'repository/beside', 'other'];
    for (const name of [...names, 'repo/a', 'repo/wal/b', 'repo/z']) at.bucket.add(name, bytes);
    const listed = async (delimited: boolean): Promise<string[]> =>
      (await collected(at.once.list('', { signal, delimited }))).map((one) =>
        one.kind === 'object' ? one.key : one.prefix,
      );
    expect(await listed(false)).toEqual(['a', 'wal/b', 'z']);
    expect(await listed(true)).toEqual(['a', 'ends/', 'wal/', 'z']);
  });

  it('refuses a server that lists out of order', async () => {
    await using at = await fakeGcsWithStores();
    const page = (name: string, more: object): ReturnType<typeof json> =>
      json({
        kind: 'storage#objects',
        items: [{ name, generation: '1', size: '1', timeCreated: '2026-11-22T00:00:00Z' }],
        ...more,
      });
    at.fake.fail(says(page('repo/b', { nextPageToken: 't' })));
    at.fake.fail(says(page('repo/a', {})));
    await expect(collected(at.once.list('', { signal }))).rejects.toMatchObject({ code: 'store-rejected' });
  });

  it('goes on behind a page without items', async () => {
    await using at = await fakeGcsWithStores();
    at.bucket.add('repo/k', bytes);
    at.fake.fail(says(json({ kind: 'storage#objects', nextPageToken: Buffer.from('0').toString('base64') })));
    expect(await collected(at.once.list('', { signal }))).toMatchObject([{ key: 'k' }]);
  });
});
