import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fileStore } from '../../src/store/file.ts';
import { probeConditions } from '../../src/store/probe.ts';
import { answers, asUsual, drops } from '../support/fake-s3-faults.ts';
import { FAKE_PART_BYTES, fakeWithStores } from '../support/fake-s3-store.ts';
import { s3ServerKinds, startS3Server } from '../support/s3-server.ts';
import { s3Store } from '../../src/store/s3.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import { systemClock } from '../../src/base/clock.ts';

const { signal } = new AbortController();
const KEPT = { conditions: 'kept', conditionsOfStreams: 'kept', checksums: 'kept' };
const options = { signal, streamBytes: 2 * FAKE_PART_BYTES };

describe('a probe of a store', () => {
  it('finds a strict one to keep its word, also the second time', async () => {
    await using at = await fakeWithStores();
    for (const store of [at.once, at.retrying]) {
      expect(await probeConditions(store, 'check/probe', options)).toEqual(KEPT);
    }
    expect(at.bucket.keys).toEqual(['repo/check/probe']);
    expect(at.bucket.uploads.size).toBe(0);
  });

  it('notices one that ignores conditions', async () => {
    await using at = await fakeWithStores({ ignores: ['conditions'] });
    for (let round = 0; round < 2; round += 1) {
      expect(await probeConditions(at.once, 'check/probe', options)).toEqual({
        conditions: 'ignored',
        conditionsOfStreams: 'ignored',
        checksums: 'kept',
      });
    }
  });

  it('notices one that ignores checksums, also the second time', async () => {
    await using at = await fakeWithStores({ ignores: ['checksums'] });
    for (let round = 0; round < 2; round += 1) {
      expect(await probeConditions(at.once, 'check/probe', options)).toEqual({ ...KEPT, checksums: 'ignored' });
    }
  });

  it('says untried for what it was not asked, and for what a directory has not', async () => {
    const root = await mkdtemp(join(tmpdir(), 'walhold-probe-'));
    try {
      expect(await probeConditions(fileStore({ root }), 'check/probe', { signal })).toEqual({
        conditions: 'kept',
        conditionsOfStreams: 'untried',
        checksums: 'untried',
      });
    } finally {
      await rm(root, { recursive: true });
    }
  });

  it.each([
    ['an outage', drops, 'unreachable'],
    ['a refusal', answers(403, 'AccessDenied'), 'denied'],
  ])('does not take %s for an answer', async (_, fault, code) => {
    await using at = await fakeWithStores();
    // The first so many requests are answered, the rest are not.
    for (let answered = 0; answered < 3; answered += 1) {
      if (answered > 0) at.fake.fail(asUsual, { times: answered });
      at.fake.fail(fault, { times: 100 });
      await expect(probeConditions(at.once, 'check/probe', { signal })).rejects.toMatchObject({ code });
      at.fake.forget();
    }
  });
});

const kinds = s3ServerKinds();
describe.skipIf(kinds.length === 0)('a probe of real servers', () => {
  it.each(kinds)('finds %s to keep its word', async (kind) => {
    await using server = await startS3Server(kind);
    await server.makeBucket('probe');
    const store = await s3Store({
      bucket: 'probe',
      prefix: 'repo',
      endpoint: server.endpoint,
      region: server.region,
      pathStyle: true,
      partBytes: 5 * 1024 * 1024,
      policy: retryPolicy({ clock: systemClock, random: Math.random, requestTimeoutMs: 20_000, tries: 1 }),
      credentials: () => Promise.resolve({ accessKeyId: server.accessKey, secretAccessKey: server.secretKey }),
    });
    expect(await probeConditions(store, 'check/probe', { signal, streamBytes: 6 * 1024 * 1024 })).toEqual(KEPT);
    await store.close();
  });
});
