import { describe, expect, it } from 'vitest';
import type { Body, LockRequest } from '../../src/store/store.ts';
import { bytesOf, collected, patternBytes, pieces } from '../support/bytes.ts';
import { GCS_ROLES } from '../support/fake-gcs-rights.ts';
import { bearing, FAKE_CHUNK_BYTES, fakeGcsWithStores } from '../support/fake-gcs-store.ts';
import { losesAnswer, meanwhile, waitsFor } from '../support/fake-s3-faults.ts';

const { signal } = new AbortController();
const DAY = 86_400_000;
const lockable = { objectRetention: true };
const small = patternBytes(1000);
const large = patternBytes(2 * FAKE_CHUNK_BYTES + 1);

/** Each way of writing. */
const WAYS: [string, () => Body][] = [
  ['in one request', () => ({ kind: 'buffer', bytes: small })],
  ['in chunks', () => ({ kind: 'stream', chunks: pieces(large, 33_000) })],
];
const MODES: LockRequest['mode'][] = ['governance', 'compliance'];
const near = (until: Date | undefined, ms: number): number => Math.abs((until?.getTime() ?? 0) - ms);

describe('a lock asked for with the object', () => {
  it.each(WAYS.flatMap(([way, body]) => MODES.map((mode) => ({ way, body, mode }))))(
    'is there when an object is created $way, $mode, without another request',
    async ({ body, mode }) => {
      await using at = await fakeGcsWithStores({ bucket: lockable, tokens: { a: GCS_ROLES.archiver } });
      const store = at.store({ authorization: bearing('a') });
      expect(await store.create('k', body(), { signal, lock: { mode, periodMs: 30 * DAY } })).toBe('created');
      expect(at.fake.requests.filter((one) => !['insert', 'begin', 'chunk'].includes(one))).toEqual([]);
      const { protection } = (await store.stat('k', { signal })) ?? {};
      expect(protection).toMatchObject({ retention: { mode }, hold: false });
      expect(near(protection?.retention?.until, Date.now() + 30 * DAY)).toBeLessThan(10_000);
      expect(() => at.bucket.remove('repo/k', null)).toThrow('retentionPolicyNotMet');
      expect(() => at.bucket.add('repo/k', small)).toThrow('retentionPolicyNotMet');
    },
  );

  it('is shown by listings, of objects and of versions, and by a look', async () => {
    await using at = await fakeGcsWithStores({ bucket: lockable });
    await at.once.create(
      'k',
      { kind: 'buffer', bytes: small },
      { signal, lock: { mode: 'compliance', periodMs: DAY } },
    );
    const expected = { retention: { mode: 'compliance' }, hold: false };
    expect(await collected(at.once.list('', { signal }))).toMatchObject([{ protection: expected }]);
    expect(await collected(at.once.versions.list('', { signal }))).toMatchObject([{ protection: expected }]);
    expect(await at.once.locks.look('k', { signal })).toMatchObject(expected);
    expect(await at.once.locks.look('none', { signal })).toBeUndefined();
  });

  it.each(WAYS)("counts from the store's clock, not from ours, %s", async (_, body) => {
    const now = Date.now() + 3 * DAY;
    await using at = await fakeGcsWithStores({ bucket: lockable, now: () => now });
    await at.once.stat('none', { signal });
    await at.once.create('k', body(), { signal, lock: { mode: 'governance', periodMs: 10 * DAY } });
    const found = await at.once.stat('k', { signal });
    expect(near(found?.protection?.retention?.until, now + 10 * DAY)).toBeLessThan(5_000);
  });

  it('is lengthened when it was asked for before the clock was known, and would be too short', async () => {
    const now = Date.now() + 3 * DAY;
    await using at = await fakeGcsWithStores({ bucket: lockable, now: () => now });
    const lock: LockRequest = { mode: 'governance', periodMs: 10 * DAY };
    expect(await at.once.create('k', { kind: 'buffer', bytes: small }, { signal, lock })).toBe('created');
    expect(at.fake.requests.at(-1)).toBe('patch');
    const until = at.bucket.live('repo/k')?.retention?.retainUntilTime ?? '';
    expect(near(new Date(until), now + 10 * DAY)).toBeLessThan(5_000);
  });

  it('may be asked for by an upload that takes longer than clocks may differ', async () => {
    let now = Date.now();
    await using at = await fakeGcsWithStores({ bucket: lockable, now: () => now });
    const clock = { now: () => now, sleep: () => Promise.resolve() };
    const store = at.store({ clock });
    at.fake.fail(
      meanwhile(() => (now += 3_600_000)),
      { operation: 'chunk' },
    );
    const body: Body = { kind: 'stream', chunks: pieces(large, 33_000) };
    expect(await store.create('k', body, { signal, lock: { mode: 'compliance', periodMs: DAY } })).toBe('created');
    expect(at.fake.requests).toEqual(['begin', 'chunk', 'chunk', 'chunk']);
  });

  it.each(WAYS)('is set afterwards where the store ignored it, %s', async (_, body) => {
    await using at = await fakeGcsWithStores({ bucket: lockable, ignores: ['retention'] });
    at.fake.fail(
      // From the look on the store minds.
      meanwhile(() => Object.assign(at.fake.options, { ignores: [] })),
      { operation: 'get' },
    );
    const lock: LockRequest = { mode: 'compliance', periodMs: DAY };
    expect(await at.once.create('k', body(), { signal, lock })).toBe('created');
    expect(at.bucket.live('repo/k')?.retention).toMatchObject({ mode: 'Locked' });
    expect(at.fake.requests.slice(-2)).toEqual(['get', 'patch']);
  });

  it.each(WAYS)('is never said to be there by a store that ignores it, %s', async (_, body) => {
    await using at = await fakeGcsWithStores({ bucket: lockable, ignores: ['retention'] });
    const creating = at.once.create('k', body(), { signal, lock: { mode: 'governance', periodMs: DAY } });
    await expect(creating).rejects.toMatchObject({ code: 'unlocked' });
  });

  it.each(WAYS)('is refused with a hint by a bucket that knows no locks of objects, %s', async (_, body) => {
    await using at = await fakeGcsWithStores();
    const creating = at.retrying.create('k', body(), { signal, lock: { mode: 'governance', periodMs: DAY } });
    await expect(creating).rejects.toMatchObject({
      code: 'unlocked',
      hint: expect.stringContaining('gcloud storage buckets create --enable-per-object-retention') as string,
    });
    expect(at.bucket.names).toEqual([]);
  });

  it.each(WAYS)('needs its right, which the refusal names, %s', async (_, body) => {
    await using at = await fakeGcsWithStores({ bucket: lockable, tokens: { a: ['objects.create'] } });
    const store = at.store({ authorization: bearing('a') });
    await expect(
      store.create('k', body(), { signal, lock: { mode: 'governance', periodMs: DAY } }),
    ).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('storage.objects.setRetention') as string,
    });
    expect(at.bucket.names).toEqual([]);
  });

  it.each(WAYS)('is looked for too when the answer was lost, %s', async (way, body) => {
    await using at = await fakeGcsWithStores({ bucket: lockable, ignores: ['retention'] });
    const operation = way === 'in chunks' ? 'chunk' : 'insert';
    if (operation === 'chunk') at.fake.fail(waitsFor(Promise.resolve()), { operation, times: 2 });
    at.fake.fail(losesAnswer, { operation });
    const chunks = { kind: 'stream' as const, chunks: pieces(small, 100) };
    const creating = at.retrying.create('k', way === 'in chunks' ? body() : chunks, {
      signal,
      lock: { mode: 'governance', periodMs: DAY },
    });
    await expect(creating).rejects.toMatchObject({ code: 'unlocked' });
  });
});

describe("the bucket's own policy as the lock", () => {
  const lock: LockRequest = { mode: 'bucket', periodMs: 10 * DAY };

  it.each(WAYS)('is seen in the answer, with nothing sent and no right to lock, %s', async (_, body) => {
    const bucket = { retentionPolicy: { seconds: (10 * DAY) / 1000 } };
    await using at = await fakeGcsWithStores({ bucket, tokens: { a: ['objects.create', 'objects.get'] } });
    const store = at.store({ authorization: bearing('a') });
    expect(await store.create('k', body(), { signal, lock })).toBe('created');
    expect(at.fake.requests).not.toContain('get');
    expect((await store.stat('k', { signal }))?.protection).toMatchObject({ retention: { mode: 'policy' } });
    expect(() => at.bucket.remove('repo/k', null)).toThrow('retentionPolicyNotMet');
  });

  it.each([
    ['there is none', {}],
    ['it is too short', { retentionPolicy: { seconds: DAY / 1000 } }],
  ])('is asked for with a hint when %s', async (_, bucket) => {
    await using at = await fakeGcsWithStores({ bucket });
    await expect(at.once.create('k', { kind: 'buffer', bytes: small }, { signal, lock })).rejects.toMatchObject({
      code: 'unlocked',
      hint: expect.stringContaining('--retention-period') as string,
    });
  });
});

describe('the locks of a version', () => {
  const soon = (days: number): Date => new Date(Date.now() + days * DAY);

  it('are lengthened in both modes, and stay where they are as long and as strict', async () => {
    await using at = await fakeGcsWithStores({ bucket: lockable, tokens: { e: GCS_ROLES.extender } });
    const { locks } = at.store({ authorization: bearing('e') });
    at.bucket.add('repo/k', small);
    for (const mode of ['governance', 'compliance'] as const) {
      at.bucket.add(`repo/${mode}`, small);
      for (const until of [soon(1), soon(5)]) {
        expect(await locks.retain(mode, { mode, until }, { signal })).toEqual({ mode, until });
      }
      at.fake.requests.length = 0;
      const held = await locks.retain(mode, { mode: 'governance', until: soon(2) }, { signal });
      expect(near(held.until, soon(5).getTime())).toBeLessThan(10_000);
      expect(held.mode).toBe(mode);
      expect(at.fake.requests).toEqual(['get']);
    }
  });

  it('never become laxer or shorter: the stricter mode and the later date of both', async () => {
    await using at = await fakeGcsWithStores({ bucket: lockable });
    const { locks } = at.once;
    at.bucket.add('repo/a', small);
    await locks.retain('a', { mode: 'compliance', until: soon(2) }, { signal });
    expect(await locks.retain('a', { mode: 'governance', until: soon(9) }, { signal })).toMatchObject({
      mode: 'compliance',
    });
    at.bucket.add('repo/b', small);
    await locks.retain('b', { mode: 'governance', until: soon(9) }, { signal });
    const stricter = await locks.retain('b', { mode: 'compliance', until: soon(1) }, { signal });
    expect(stricter.mode).toBe('compliance');
    expect(near(stricter.until, soon(9).getTime())).toBeLessThan(10_000);
  });

  it('need a right of its own to become stricter, which the refusal names', async () => {
    await using at = await fakeGcsWithStores({ bucket: lockable, tokens: { e: GCS_ROLES.extender } });
    const { locks } = at.store({ authorization: bearing('e') });
    at.bucket.add('repo/k', small);
    await locks.retain('k', { mode: 'governance', until: soon(1) }, { signal });
    await expect(locks.retain('k', { mode: 'compliance', until: soon(5) }, { signal })).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('overrideUnlockedRetention') as string,
    });
  });

  it('are those of the version named, current or not', async () => {
    await using at = await fakeGcsWithStores({ bucket: { ...lockable, versioning: true } });
    const first = at.bucket.add('repo/k', small);
    at.bucket.add('repo/k', large);
    const version = String(first.generation);
    await at.once.locks.retain('k', { mode: 'governance', until: soon(5) }, { signal, version });
    expect(first.retention).toMatchObject({ mode: 'Unlocked' });
    expect(at.bucket.live('repo/k')?.retention).toBeUndefined();
    expect(await at.once.locks.look('k', { signal })).toEqual({ retention: undefined, hold: false });
    expect(await at.once.locks.look('k', { signal, version })).toMatchObject({ retention: { mode: 'governance' } });
  });

  it('are not shortened by a change that came in between', async () => {
    await using at = await fakeGcsWithStores({ bucket: lockable });
    const object = at.bucket.add('repo/k', small);
    const longer = { mode: 'Unlocked' as const, retainUntilTime: soon(30).toISOString() };
    at.fake.fail(
      meanwhile(() => Object.assign(object, { retention: longer, metageneration: 2 })),
      { operation: 'patch' },
    );
    await at.retrying.locks.retain('k', { mode: 'governance', until: soon(5) }, { signal });
    expect(object.retention).toEqual(longer);
    expect(at.fake.allFaultsMet).toBe(true);
  });

  it('that have run out count as none', async () => {
    let now = Date.now();
    await using at = await fakeGcsWithStores({ bucket: lockable, now: () => now });
    await at.once.create(
      'k',
      { kind: 'buffer', bytes: small },
      { signal, lock: { mode: 'compliance', periodMs: DAY } },
    );
    now += 2 * DAY;
    expect(await at.once.stat('none', { signal })).toBeUndefined();
    expect(await at.once.locks.look('k', { signal })).toEqual({ retention: undefined, hold: false });
  });

  it('are refused with a hint where the bucket knows none, and where there is no object', async () => {
    await using at = await fakeGcsWithStores();
    at.bucket.add('repo/k', small);
    const retention = { mode: 'governance' as const, until: soon(1) };
    await expect(at.once.locks.retain('k', retention, { signal })).rejects.toMatchObject({
      code: 'unlocked',
      hint: expect.stringContaining('--enable-per-object-retention') as string,
    });
    await expect(at.once.locks.retain('none', retention, { signal })).rejects.toMatchObject({ code: 'not-found' });
    await expect(at.once.locks.hold('none', true, { signal })).rejects.toMatchObject({ code: 'not-found' });
  });

  it('take holds on and off, beside a retention', async () => {
    await using at = await fakeGcsWithStores({ bucket: lockable });
    await at.once.create(
      'k',
      { kind: 'buffer', bytes: small },
      { signal, lock: { mode: 'governance', periodMs: DAY } },
    );
    await at.once.locks.hold('k', true, { signal });
    expect(await at.once.locks.look('k', { signal })).toMatchObject({ hold: true, retention: { mode: 'governance' } });
    expect(() => at.bucket.remove('repo/k', null)).toThrow('objectUnderActiveHold');
    await at.once.locks.hold('k', false, { signal });
    expect(await at.once.locks.look('k', { signal })).toMatchObject({ hold: false });
    at.bucket.add('repo/event', small, { eventBasedHold: true });
    expect(await at.once.locks.look('event', { signal })).toEqual({ hold: true, retention: undefined });
  });

  it('that another credential may not see are never said to be none', async () => {
    await using at = await fakeGcsWithStores({ tokens: { a: ['objects.create'] } });
    const { locks } = at.store({ authorization: bearing('a') });
    await expect(locks.look('k', { signal })).rejects.toMatchObject({ code: 'denied' });
  });
});

describe('what a bucket says of itself', () => {
  it('is versioning, locks, policy and what deletes by age', async () => {
    await using at = await fakeGcsWithStores({
      bucket: {
        versioning: true,
        objectRetention: true,
        retentionPolicy: { seconds: 86_400, locked: true },
        lifecycle: [
          { action: { type: 'Delete' }, condition: { age: 30 } },
          { action: { type: 'SetStorageClass', storageClass: 'COLDLINE' }, condition: { age: 3 } },
        ],
      },
    });
    expect(await at.once.locks.bucket({ signal })).toEqual({
      versioning: 'on',
      lockable: true,
      defaultRetention: { mode: 'policy', periodMs: DAY },
      lifecycle: ['Delete when age 30'],
      why: [],
    });
  });

  it('is that it does none of it', async () => {
    await using at = await fakeGcsWithStores();
    const nothing = { versioning: 'off', lockable: false, defaultRetention: 'none', lifecycle: [], why: [] };
    expect(await at.once.locks.bucket({ signal })).toEqual(nothing);
  });

  it('is unknown, and why, to who may not see it', async () => {
    await using at = await fakeGcsWithStores({ tokens: { a: GCS_ROLES.archiver } });
    const { locks } = at.store({ authorization: bearing('a') });
    expect(await locks.bucket({ signal })).toEqual({
      versioning: undefined,
      lockable: undefined,
      defaultRetention: undefined,
      lifecycle: undefined,
      why: [expect.stringContaining('storage.buckets.get')],
    });
  });
});

describe('with the rights that README grants', () => {
  it('an archiver stores with a lock and can neither replace, delete, unlock nor shorten', async () => {
    await using at = await fakeGcsWithStores({ bucket: lockable, tokens: { a: GCS_ROLES.archiver } });
    const store = at.store({ authorization: bearing('a') });
    const lock: LockRequest = { mode: 'governance', periodMs: DAY };
    await store.create('k', { kind: 'buffer', bytes: small }, { signal, lock });
    expect(await store.probe.overwrite('k', large, { signal })).toBe('refused');
    expect(await store.probe.remove('k', { signal })).toEqual({ name: 'refused', version: 'refused' });
    await expect(store.locks.hold('k', true, { signal })).rejects.toMatchObject({ code: 'denied' });
    await expect(store.locks.retain('k', { mode: 'governance', until: soonest() }, { signal })).rejects.toMatchObject({
      code: 'denied',
    });
    expect((await bytesOf((await store.open('k', { signal }))?.chunks)).equals(small)).toBe(true);
  });

  it('a restorer reads everything and writes nothing', async () => {
    await using at = await fakeGcsWithStores({ bucket: { versioning: true }, tokens: { r: GCS_ROLES.restorer } });
    const old = at.bucket.add('repo/k', small);
    at.bucket.add('repo/k', large);
    const store = at.store({ authorization: bearing('r') });
    const version = String(old.generation);
    expect((await bytesOf((await store.open('k', { signal, version }))?.chunks)).equals(small)).toBe(true);
    expect(await collected(store.versions.list('', { signal }))).toHaveLength(2);
    expect(await store.stat('none', { signal })).toBeUndefined();
    for (const [, body] of WAYS) {
      await expect(store.create('new', body(), { signal })).rejects.toMatchObject({ code: 'denied' });
    }
  });
});

function soonest(): Date {
  return new Date(Date.now() + 40 * DAY);
}
