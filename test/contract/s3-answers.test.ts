import { describe, expect, it } from 'vitest';
import type { WalholdError } from '../../src/base/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { collected, patternBytes } from '../support/bytes.ts';
import { answers, says } from '../support/fake-s3-faults.ts';
import { tag, xml } from '../support/fake-s3-messages.ts';
import { fakeWithStores } from '../support/fake-s3-store.ts';

const { signal } = new AbortController();
const bytes = patternBytes(100);

const CALLS: [string, (store: Store) => Promise<unknown>][] = [
  ['stat', (store) => store.stat('k', { signal })],
  ['open', (store) => store.open('k', { signal })],
  ['a range', (store) => store.open('k', { signal, range: { offset: -4 } })],
  ['list', (store) => collected(store.list('', { signal }))],
  ['create', (store) => store.create('k', { kind: 'buffer', bytes }, { signal })],
];

/** Each with what must be in the hint. */
const ANSWERS: [number, string, Record<string, string>, string, RegExp][] = [
  [403, 'AccessDenied', {}, 'denied', /ListBucket/],
  [403, 'InvalidAccessKeyId', {}, 'denied', /key/],
  [403, 'SignatureDoesNotMatch', {}, 'denied', /key/],
  [400, 'ExpiredToken', {}, 'denied', /renew/],
  [401, 'Unauthorized', {}, 'denied', /credentials/],
  [403, 'InvalidObjectState', {}, 'store-rejected', /archive/],
  [301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-north-1' }, 'config', /s3_region = eu-north-1/],
  [400, 'AuthorizationHeaderMalformed', { 'x-amz-bucket-region': 'eu-north-1' }, 'config', /s3_region = eu-north-1/],
  [400, 'KMS.DisabledException', {}, 'denied', /s3_kms_key/],
  [400, 'InvalidArgument', {}, 'store-rejected', /^$/],
  [501, 'NotImplemented', {}, 'store-rejected', /check/],
];

describe('what S3 answers', () => {
  it.each(ANSWERS)(
    '%i %s is an answer with a code and a hint, and not repeated',
    async (status, code, headers, ours, hint) => {
      await using at = await fakeWithStores();
      for (const [name, call] of CALLS) {
        at.fake.requests.length = 0;
        // A HEAD's refusal has no body, so a GET asks again.
        const times = name === 'stat' ? 2 : 1;
        at.fake.fail(answers(status, code, headers), { times });
        const error: unknown = await call(at.retrying).catch((thrown: unknown) => thrown);
        expect(error, name).toMatchObject({ code: ours, detail: expect.stringContaining(String(status)) as string });
        expect((error as WalholdError).hint ?? '', name).toMatch(hint);
        expect(at.fake.requests.length, name).toBeLessThanOrEqual(times);
        at.fake.forget();
      }
    },
  );

  it('of a missing bucket is not that the object is missing', async () => {
    await using at = await fakeWithStores();
    const store = await at.store({ bucket: 'no-such-bucket' });
    for (const [name, call] of CALLS) {
      await expect(call(store), name).rejects.toMatchObject({
        code: 'store-rejected',
        hint: expect.stringContaining('bucket') as string,
      });
    }
  });

  it('when it is not S3 that answers 404, is not that the object is missing', async () => {
    await using at = await fakeWithStores();
    const page = { status: 404, headers: { 'content-type': 'text/html' }, body: Buffer.from('<html>Not Found</html>') };
    for (const [name, call] of CALLS) {
      at.fake.fail(says(page), { times: 2 });
      await expect(call(at.once), name).rejects.toMatchObject({ name: 'WalholdError' });
      at.fake.forget();
    }
  });

  it('of a deleted object is that it is hidden', async () => {
    await using at = await fakeWithStores();
    at.bucket.add('repo/k', bytes);
    at.bucket.hide('repo/k');
    const hidden = { code: 'damaged', detail: expect.stringContaining('delete marker') as string };
    await expect(at.once.stat('k', { signal })).rejects.toMatchObject(hidden);
    await expect(at.once.open('k', { signal })).rejects.toMatchObject(hidden);
  });

  it('finds an object that appears between the two questions of an absence', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(404, 'NoSuchKey'), { operation: 'HeadObject' });
    at.bucket.add('repo/k', bytes);
    expect(await at.once.stat('k', { signal })).toMatchObject({ bytes: 100 });
  });

  it('to a range may not be the whole', async () => {
    await using at = await fakeWithStores({ ignores: ['ranges'] });
    at.bucket.add('repo/k', bytes);
    await expect(at.once.open('k', { signal, range: { offset: 10 } })).rejects.toMatchObject({
      code: 'store-rejected',
    });
  });

  it('with a signature for another region names the right one', async () => {
    await using at = await fakeWithStores({ region: 'eu-central-1' });
    const store = await at.store({ region: 'us-west-2' });
    await expect(store.create('k', { kind: 'buffer', bytes }, { signal })).rejects.toMatchObject({
      code: 'config',
      hint: 'Set s3_region = eu-central-1.',
    });
    await expect(store.stat('k', { signal })).rejects.toMatchObject({
      code: 'config',
      hint: 'Set s3_region = eu-central-1.',
    });
  });
});

describe('a listing of a bucket that others write to', () => {
  const HOSTILE = [
    'repo/',
    'repo//double',
    'repo/../up',
    'repo/.hidden',
    'repo/with space',
    'repo/with+plus',
    'repo/per%cent',
    'repo/ünï',
    'repo/new\nline',
    'repo/control\u0001',
    'repo/<tag>&amp;',
    'repo/ends/',
    'repository/beside',
    'other',
  ];

  it('passes over what cannot be ours', async () => {
    await using at = await fakeWithStores({ pageKeys: 3 });
    for (const key of [...HOSTILE, 'repo/a', 'repo/wal/b', 'repo/z']) at.bucket.add(key, bytes);
    const names = async (delimited: boolean): Promise<string[]> =>
      (await collected(at.once.list('', { signal, delimited }))).map((one) =>
        one.kind === 'object' ? one.key : one.prefix,
      );
    expect(await names(false)).toEqual(['a', 'wal/b', 'z']);
    expect(await names(true)).toEqual(['a', 'ends/', 'wal/', 'z']);
  });

  it('refuses a server that lists out of order', async () => {
    await using at = await fakeWithStores();
    const item = (key: string): string =>
      `<Contents>${tag('Key', key)}<LastModified>2026-11-22T00:00:00Z</LastModified><Size>1</Size></Contents>`;
    const page = (key: string, more: string): Buffer => xml('ListBucketResult', item(key) + more);
    const token = '<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>';
    at.fake.fail(says({ status: 200, body: page('repo/b', token) }));
    at.fake.fail(says({ status: 200, body: page('repo/a', '<IsTruncated>false</IsTruncated>') }));
    await expect(collected(at.once.list('', { signal }))).rejects.toMatchObject({ code: 'store-rejected' });
  });

  it('refuses a page that promises more and does not say how', async () => {
    await using at = await fakeWithStores();
    const body = xml('ListBucketResult', '<IsTruncated>true</IsTruncated>');
    at.fake.fail(says({ status: 200, body }));
    await expect(collected(at.once.list('', { signal }))).rejects.toMatchObject({ code: 'store-rejected' });
  });

  it('does not take a page of something else for an empty listing', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(says({ status: 200, body: Buffer.from('<html><body>Welcome</body></html>') }));
    await expect(collected(at.once.list('', { signal }))).rejects.toMatchObject({ name: 'WalholdError' });
  });
});
