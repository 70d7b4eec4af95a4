import { describe, expect, it } from 'vitest';
import { ensureLocked, lockMemory } from '../../src/store/lock-proof.ts';
import type { S3StoreSettings } from '../../src/store/s3.ts';
import type { LockMemory, LockRequest, Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { patternBytes, pieces } from '../support/bytes.ts';
import type { FakeBucketOptions, FakeVersion } from '../support/fake-s3-bucket.ts';
import { answers, drops, losesAnswer, meanwhile, says } from '../support/fake-s3-faults.ts';
import type { Operation } from '../support/fake-s3-routes.ts';
import { FAKE_PART_BYTES, fakeWithStores, type FakeWithStores } from '../support/fake-s3-store.ts';

const { signal } = new AbortController();
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const GOVERNANCE: LockRequest = { mode: 'governance', periodMs: 2 * DAY };
const BUCKET: LockRequest = { mode: 'bucket', periodMs: 2 * DAY };
const small = patternBytes(1000);
const large = patternBytes(3 * FAKE_PART_BYTES + 1);
const lockable: FakeBucketOptions = { lock: {} };

/** What an archiver has that locks its objects itself. */
const ARCHIVER = ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:PutObjectRetention', 's3:GetObjectRetention'];
const without = (right: string): string[] => ARCHIVER.filter((one) => one !== right);

function put(store: Store, lock: LockRequest = GOVERNANCE, key = 'k'): Promise<'created' | 'exists'> {
  return store.create(key, { kind: 'buffer', bytes: small }, { signal, lock });
}

function send(store: Store, bytes: Uint8Array = large, lock: LockRequest = GOVERNANCE): Promise<'created' | 'exists'> {
  return store.create('k', { kind: 'stream', chunks: pieces(bytes, 33_000) }, { signal, lock });
}

function versions(at: FakeWithStores, key = 'k'): FakeVersion[] {
  return at.bucket.versions.get(`repo/${key}`) ?? [];
}

/** The requests of `work`, in order. */
async function requestsOf(at: FakeWithStores, work: () => Promise<unknown>): Promise<Operation[]> {
  const before = at.fake.requests.length;
  await work();
  return at.fake.requests.slice(before);
}

describe('a lock asked for on S3', () => {
  it('costs no request more than an object without, once the first was seen to be locked', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    expect(await requestsOf(at, () => put(at.once, GOVERNANCE, 'first'))).toEqual(['PutObject', 'HeadObject']);
    expect(await requestsOf(at, () => put(at.once, GOVERNANCE, 'second'))).toEqual(['PutObject']);
    // Each way of writing is verified by itself.
    await put(at.once, GOVERNANCE, 'third');
    const stream = ['CreateMultipartUpload', ...Array<Operation>(4).fill('UploadPart'), 'CompleteMultipartUpload'];
    expect(await requestsOf(at, () => send(at.once))).toEqual([...stream, 'HeadObject']);
  });

  it('is not looked at where an earlier process has seen it kept', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    const memory = lockMemory();
    await put(await at.store({ lockMemory: memory }), GOVERNANCE, 'first');
    const later = await at.store({ lockMemory: memory });
    expect(await requestsOf(at, () => put(later))).toEqual(['PutObject']);
    expect([memory.recall('single'), memory.recall('stream')]).toEqual(['kept', undefined]);
  });

  it('is set afterwards on each object of a store that drops it', async () => {
    await using at = await fakeWithStores({ bucket: lockable, ignores: ['locks-of-streams'] });
    const memory = lockMemory();
    const store = await at.store({ lockMemory: memory });
    for (const key of ['a', 'b']) {
      const body = { kind: 'stream' as const, chunks: pieces(large, 33_000) };
      expect(await store.create(key, body, { signal, lock: GOVERNANCE })).toBe('created');
      expect(versions(at, key)[0]?.retention?.mode).toBe('GOVERNANCE');
      expect(await put(store, GOVERNANCE, `${key}-single`)).toBe('created');
    }
    expect([memory.recall('single'), memory.recall('stream')]).toEqual(['kept', 'dropped']);
    expect(at.fake.requests.filter((one) => one === 'PutObjectRetention')).toHaveLength(2);
  });

  it('is believed to be missing by who remembers that it was, and set without the right to see the object', async () => {
    await using at = await fakeWithStores({ bucket: lockable, ignores: ['locks'] });
    const memory: LockMemory = { recall: () => 'dropped', remember: () => undefined };
    const store = await at.storeOf(without('s3:GetObject'), { lockMemory: memory });
    expect(await put(store)).toBe('created');
    expect(versions(at)[0]?.retention).toBeDefined();
  });

  it('that a store drops and refuses afterwards is not acknowledged, nor remembered', async () => {
    await using at = await fakeWithStores({ bucket: lockable, ignores: ['locks'] });
    const memory = lockMemory();
    const store = await at.storeOf([...without('s3:PutObjectRetention'), 's3:GetObjectVersion'], {
      lockMemory: memory,
    });
    for (const work of [() => put(store), () => send(store, large), () => send(store, small)]) {
      at.bucket.versions.clear();
      await expect(work()).rejects.toMatchObject({
        code: 'unlocked',
        hint: expect.stringContaining('s3:PutObjectRetention') as string,
      });
    }
    expect(memory.recall('single')).toBeUndefined();
  });

  it('that cannot be seen is not acknowledged', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    const store = await at.storeOf([...without('s3:GetObjectRetention'), 's3:GetObjectVersion']);
    await expect(put(store)).rejects.toMatchObject({
      code: 'unlocked',
      hint: 'Allow these credentials s3:GetObjectRetention.',
    });
  });

  it('is seen without the right to read versions', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    const store = await at.storeOf(ARCHIVER);
    expect(await put(store)).toBe('created');
    expect(await send(store)).toBe('exists');
  });

  it('is not looked for in a bucket that refuses it', async () => {
    await using at = await fakeWithStores({ bucket: { versioning: 'off' } });
    for (const work of [() => put(at.once), () => send(at.once), () => send(at.once, small)]) {
      await expect(work()).rejects.toMatchObject({
        code: 'unlocked',
        hint: expect.stringMatching(
          /put-bucket-versioning .*Status=Enabled && aws .*put-object-lock-configuration/,
        ) as string,
      });
    }
    expect(at.bucket.keys).toEqual([]);
    expect(at.bucket.uploads.size).toBe(0);
  });

  it('without the right to set it is refused with both ways out', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    const store = await at.storeOf(without('s3:PutObjectRetention'));
    for (const work of [() => put(store), () => send(store)]) {
      await expect(work()).rejects.toMatchObject({
        code: 'denied',
        hint: expect.stringMatching(/s3:PutObjectRetention.*lock_mode = bucket/) as string,
      });
    }
    expect(at.bucket.keys).toEqual([]);
  });

  it('is had without the right to set it where the store asks for none', async () => {
    await using at = await fakeWithStores({ bucket: lockable, ignores: ['retention-right'] });
    expect(await put(await at.storeOf(without('s3:PutObjectRetention')))).toBe('created');
    expect(versions(at)[0]?.retention).toBeDefined();
  });

  it('keeps the reason of a refusal that is not about locks', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.fake.fail(answers(403, 'InvalidAccessKeyId'));
    await expect(put(at.once)).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('secret key') as string,
    });
  });

  it('that a store does not know is refused as one that cannot be had', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.fake.fail(answers(501, 'NotImplemented'));
    await expect(put(at.once)).rejects.toMatchObject({
      code: 'unlocked',
      hint: expect.stringContaining('lock_mode = none') as string,
    });
  });

  it('ends by the clock of the store, also when that was not known at the first request', async () => {
    await using at = await fakeWithStores({ bucket: lockable, skewMs: 3 * HOUR });
    const memory = lockMemory();
    const store = await at.store({ lockMemory: memory });
    for (const key of ['first', 'second']) {
      await put(store, { mode: 'compliance', periodMs: DAY }, key);
      const [version] = versions(at, key);
      const lasts = (version?.retention?.until.getTime() ?? 0) - (version?.storedAt.getTime() ?? 0);
      expect(Math.abs(lasts - DAY)).toBeLessThan(2000);
    }
    expect(store.clockSkewMs?.()).toBeGreaterThan(3 * HOUR - 2000);
    // That the first had to be lengthened was no fault of the store.
    expect(memory.recall('single')).toBe('kept');
  });

  it('ends by the clock of the store also where locks are known to be kept', async () => {
    await using at = await fakeWithStores({ bucket: lockable, skewMs: 3 * HOUR });
    const store = await at.store({ lockMemory: { recall: () => 'kept', remember: () => undefined } });
    await put(store, { mode: 'governance', periodMs: DAY });
    const [version] = versions(at);
    expect((version?.retention?.until.getTime() ?? 0) - (version?.storedAt.getTime() ?? 0)).toBeGreaterThan(DAY - 2000);
  });
});

describe("a lock left to the bucket's default", () => {
  const byDefault = (days: number): FakeBucketOptions => ({ lock: { byDefault: { mode: 'GOVERNANCE', days } } });
  const PUTS_ONLY = ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:GetObjectVersion', 's3:GetObjectRetention'];

  it('is looked at each time, with no right to set it and nothing sent', async () => {
    await using at = await fakeWithStores({ bucket: byDefault(2) });
    const store = await at.storeOf(PUTS_ONLY);
    for (const key of ['a', 'b']) {
      expect(await requestsOf(at, () => put(store, BUCKET, key))).toEqual(['PutObject', 'HeadObject']);
      expect(versions(at, key)[0]?.headers['x-amz-object-lock-mode']).toBeUndefined();
    }
    expect(await send(store, large, BUCKET)).toBe('created');
  });

  it.each<[string, FakeBucketOptions, RegExp, RegExp]>([
    [
      'is too short',
      byDefault(1),
      /default retention is 1 day in governance mode, lock_period is 2 days/,
      /"Days":2.*shorter lock_period/,
    ],
    ['is missing', lockable, /no default retention/, /put-object-lock-configuration .*"Mode":"GOVERNANCE","Days":2/],
    ['is impossible', {}, /cannot lock objects/, /ObjectLockEnabled=Enabled/],
  ])('is not acknowledged where it %s', async (_, bucket, detail, hint) => {
    await using at = await fakeWithStores({ bucket });
    for (const work of [
      () => put(at.once, BUCKET),
      () => send(at.once, large, BUCKET),
      () => send(at.once, Buffer.alloc(0), BUCKET),
    ]) {
      at.bucket.versions.clear();
      await expect(work()).rejects.toMatchObject({
        code: 'unlocked',
        detail: expect.stringMatching(detail) as string,
        hint: expect.stringMatching(hint) as string,
      });
    }
  });

  it('is not acknowledged where the bucket promises it and the object does not show it', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.fake.fail(
      meanwhile(() => (at.bucket.options = byDefault(2))),
      { operation: 'HeadObject' },
    );
    await expect(put(at.once, BUCKET)).rejects.toMatchObject({
      code: 'unlocked',
      hint: expect.stringContaining('lock_mode = governance') as string,
    });
  });

  it('says so where the default cannot be seen either', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    await expect(put(await at.storeOf(PUTS_ONLY), BUCKET)).rejects.toMatchObject({
      code: 'unlocked',
      detail: expect.stringContaining('could not be seen') as string,
      hint: expect.stringContaining('"Days":2') as string,
    });
  });
});

describe('a lock, when an answer is lost', () => {
  const patient = (at: FakeWithStores, settings: Partial<S3StoreSettings> = {}): Promise<Store> =>
    at.store({ policy: at.patient, ...settings });

  it.each([
    ['in parts', large, 'CompleteMultipartUpload'],
    ['in one request', small, 'PutObject'],
  ] as const)('is there when a stream sent %s finds itself stored already', async (_, bytes, operation) => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.fake.fail(losesAnswer, { operation });
    expect(await send(await patient(at), bytes)).toBe('created');
    expect(versions(at)).toHaveLength(1);
    expect(versions(at)[0]?.retention).toBeDefined();
  });

  it.each([
    ['in parts', large, 'CompleteMultipartUpload'],
    ['in one request', small, 'PutObject'],
  ] as const)("is set on somebody else's object of the same bytes, sent %s", async (_, bytes, operation) => {
    await using at = await fakeWithStores({ bucket: lockable });
    const memory: LockMemory = { recall: () => 'kept', remember: () => undefined };
    at.fake.fail(drops, { operation });
    at.fake.fail(
      meanwhile(() => at.bucket.add('repo/k', Buffer.from(bytes))),
      { operation },
    );
    expect(await send(await patient(at, { lockMemory: memory }), bytes)).toBe('created');
    expect(versions(at)[0]?.retention).toBeDefined();
  });

  it('is looked for again until there is an answer, the object not sent again', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.fake.fail(drops, { operation: 'HeadObject', times: 3 });
    const store = withRetry(await patient(at), at.patient);
    expect(await put(store)).toBe('created');
    expect(at.fake.requests.filter((one) => one === 'PutObject')).toHaveLength(1);
    expect(at.fake.allFaultsMet).toBe(true);
  });

  it('is ensured by who finds the name taken', async () => {
    await using at = await fakeWithStores({ bucket: lockable, ignores: ['locks'] });
    const store = withRetry(await patient(at), at.patient);
    at.fake.fail(losesAnswer, { operation: 'PutObject' });
    expect(await put(store)).toBe('exists');
    expect(versions(at)[0]?.retention).toBeUndefined();
    await ensureLocked(store, 'k', GOVERNANCE, { signal });
    expect(versions(at)[0]?.retention).toMatchObject({ mode: 'GOVERNANCE' });
  });
});

describe('the lock of an object that was there already', () => {
  it('is set on the version that was asked about', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    const old = at.bucket.add('repo/k', small);
    const overlay = at.bucket.add('repo/k', Buffer.from('later'));
    await ensureLocked(at.once, 'k', GOVERNANCE, { signal, version: old.id });
    expect([old.retention?.mode, overlay.retention]).toEqual(['GOVERNANCE', undefined]);
  });

  it('is lengthened when it ends before it would have, and left when that is minutes', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    const storedAt = new Date(Date.now() - HOUR);
    const until = (minutes: number): Date => new Date(storedAt.getTime() + GOVERNANCE.periodMs - minutes * 60_000);
    const close = at.bucket.add('repo/close', small, { storedAt, retention: { mode: 'GOVERNANCE', until: until(4) } });
    const short = at.bucket.add('repo/short', small, { storedAt, retention: { mode: 'GOVERNANCE', until: until(6) } });
    const loose = at.bucket.add('repo/loose', small, {
      storedAt,
      retention: { mode: 'GOVERNANCE', until: until(-60) },
    });
    await ensureLocked(at.once, 'close', GOVERNANCE, { signal });
    await ensureLocked(at.once, 'short', GOVERNANCE, { signal });
    await ensureLocked(at.once, 'loose', { ...GOVERNANCE, mode: 'compliance' }, { signal });
    expect(close.retention?.until).toEqual(until(4));
    expect(short.retention?.until.getTime()).toBeGreaterThan(Date.now() + GOVERNANCE.periodMs - 2000);
    expect(loose.retention).toMatchObject({ mode: 'COMPLIANCE' });
  });

  it('is never shortened, not even where the store would', async () => {
    await using at = await fakeWithStores({ bucket: lockable, ignores: ['shortening'] });
    const until = new Date(Date.now() + 10 * DAY);
    const object = at.bucket.add('repo/k', small, { retention: { mode: 'COMPLIANCE', until } });
    await ensureLocked(at.once, 'k', GOVERNANCE, { signal });
    const less = { mode: 'governance' as const, until: new Date(Date.now() + DAY) };
    expect(await at.once.locks?.retain('k', less, { signal })).toEqual({ mode: 'compliance', until });
    // Nothing is asked for that is there.
    expect(at.fake.requests).not.toContain('PutObjectRetention');
    const loose = at.bucket.add('repo/l', small, { retention: { mode: 'GOVERNANCE', until } });
    await at.once.locks?.retain('l', { ...less, mode: 'compliance' }, { signal });
    expect([object.retention, loose.retention]).toEqual(Array(2).fill({ mode: 'COMPLIANCE', until }));
  });

  it('is not taken for granted when a store says yes and does nothing', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.bucket.add('repo/k', small);
    at.fake.fail(says({ status: 200 }), { operation: 'PutObjectRetention' });
    await expect(ensureLocked(at.once, 'k', GOVERNANCE, { signal })).rejects.toMatchObject({ code: 'unlocked' });
  });

  it('is not ensured on what is hidden or gone', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.bucket.add('repo/k', small);
    at.bucket.hide('repo/k');
    await expect(ensureLocked(at.once, 'k', GOVERNANCE, { signal })).rejects.toMatchObject({ code: 'unlocked' });
    await expect(ensureLocked(at.once, 'none', GOVERNANCE, { signal })).rejects.toMatchObject({ code: 'unlocked' });
  });

  it('stays unknown while the store is down', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.fake.fail(answers(503, 'SlowDown'), { times: 9 });
    await expect(ensureLocked(at.once, 'k', GOVERNANCE, { signal })).rejects.toMatchObject({ code: 'unreachable' });
  });
});

describe('a look at a lock on S3', () => {
  it('says none only when that is what the store says', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.bucket.add('repo/k', small);
    const blind = await at.storeOf(['s3:GetObject', 's3:GetObjectVersion', 's3:ListBucket', 's3:GetObjectLegalHold']);
    await expect(blind.locks?.look('k', { signal })).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('s3:GetObjectRetention') as string,
    });
    const half = await at.storeOf(['s3:GetObject', 's3:ListBucket', 's3:GetObjectRetention']);
    await expect(half.locks?.look('k', { signal })).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('s3:GetObjectLegalHold') as string,
    });
    const none = { retention: undefined, hold: false };
    expect(await half.locks?.look('k', { signal, retentionOnly: true })).toEqual(none);
    expect(await at.once.locks?.look('k', { signal })).toEqual(none);
  });

  it('takes a lock that has run out for none', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    const until = new Date(Date.now() - 1000);
    at.bucket.add('repo/k', small, { retention: { mode: 'COMPLIANCE', until } });
    const none = { retention: undefined, hold: false };
    expect(await at.once.locks?.look('k', { signal })).toEqual(none);
    expect((await at.once.stat('k', { signal }))?.protection).toEqual(none);
  });

  it('takes no hidden object for an absent one, nor for one without a lock', async () => {
    await using at = await fakeWithStores({ bucket: lockable });
    at.bucket.add('repo/k', small);
    at.bucket.hide('repo/k');
    await expect(at.once.locks?.look('k', { signal })).rejects.toMatchObject({ code: 'damaged' });
    // Some servers say less of it.
    at.fake.fail(answers(404, 'NoSuchKey'), { operation: 'GetObjectRetention' });
    await expect(at.once.locks?.look('k', { signal })).rejects.toMatchObject({ code: 'damaged' });
    at.bucket.options = {};
    await expect(at.once.locks?.look('k', { signal })).rejects.toMatchObject({ code: 'damaged' });
  });

  it('says what is so in a bucket that cannot lock', async () => {
    await using at = await fakeWithStores();
    at.bucket.add('repo/k', small);
    expect(await at.once.locks?.look('k', { signal })).toEqual({ retention: undefined, hold: false });
    expect(await at.once.locks?.look('none', { signal })).toBeUndefined();
    const until = new Date(Date.now() + HOUR);
    const refusal = { code: 'unlocked', hint: expect.stringContaining('put-object-lock-configuration') as string };
    await expect(at.once.locks?.retain('k', { mode: 'governance', until }, { signal })).rejects.toMatchObject(refusal);
    await expect(at.once.locks?.hold('k', true, { signal })).rejects.toMatchObject(refusal);
  });
});
