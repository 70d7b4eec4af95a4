import { describe, expect, it } from 'vitest';
import { s3Remover } from '../../src/store/s3-remove.ts';
import { MOST_VERSIONS, type RemovingStore, type Store, type VersionEntry } from '../../src/store/store.ts';
import { collected, patternBytes } from '../support/bytes.ts';
import { answers, says } from '../support/fake-s3-faults.ts';
import { tag, xml } from '../support/fake-s3-messages.ts';
import { fakeWithStores, keysOf, type FakeWithStores } from '../support/fake-s3-store.ts';

const { signal } = new AbortController();
const bytes = patternBytes(100);
const HOUR = 3_600_000;

async function versionsOf(store: Store): Promise<VersionEntry[]> {
  if (store.versions === undefined) throw new Error('the store has no versions');
  return collected(store.versions.list('', { signal }));
}

describe('a listing of versions on S3', () => {
  it('gives the oldest versions of a key that has more than anybody makes, and all of its neighbours', async () => {
    await using at = await fakeWithStores();
    at.bucket.add('repo/a', bytes);
    const made = Array.from({ length: 2 * MOST_VERSIONS + 500 }, () => at.bucket.add('repo/b', bytes).id);
    at.bucket.add('repo/c', bytes);
    const entries = (await versionsOf(at.once)).filter((entry) => entry.kind === 'version');
    expect(entries[0]?.key).toBe('a');
    expect(entries.at(-1)?.key).toBe('c');
    const found = entries.slice(1, -1).map(({ version }) => version);
    expect(found).toEqual(made.slice(0, MOST_VERSIONS));
  });

  it('gives those of a bucket without versions a name that can be asked for', async () => {
    await using at = await fakeWithStores({ bucket: { versioning: 'off' } });
    at.bucket.add('repo/k', bytes);
    const [entry] = await versionsOf(at.once);
    expect(entry).toMatchObject({ kind: 'version', key: 'k', version: 'null', current: true });
    expect(await at.once.stat('k', { signal, version: 'null' })).toMatchObject({ bytes: 100 });
    expect(await at.once.stat('k', { signal })).not.toHaveProperty('version');
  });

  it('keeps the order of versions that were stored in the same second, or with a date before', async () => {
    await using at = await fakeWithStores();
    const storedAt = new Date(Math.floor(Date.now() / 1000) * 1000);
    const early = new Date(storedAt.getTime() - HOUR);
    const first = at.bucket.add('repo/k', bytes, { storedAt });
    const marker = at.bucket.add('repo/k', undefined, { storedAt });
    // A multipart upload begun before the first, and completed after it.
    const second = at.bucket.add('repo/k', bytes, { storedAt: early });
    const third = at.bucket.add('repo/k', bytes, { storedAt });
    const names = (await versionsOf(at.once)).flatMap((entry) => (entry.kind === 'directory' ? [] : [entry.version]));
    expect(names.filter((id) => id !== marker.id)).toEqual([first.id, second.id, third.id]);
    expect(names).toContain(marker.id);
  });

  it('passes over what cannot be ours', async () => {
    await using at = await fakeWithStores({ pageKeys: 2 });
    for (const key of [
      'repo/',
      'repo/../up',
      'repo/with space',
      'repo/ünï',
      'repo/control\u0001',
      'repo/a',
      'repo/z',
    ]) {
      at.bucket.add(key, bytes);
      at.bucket.hide(key);
    }
    const found = await versionsOf(at.once);
    expect(found.map((entry) => (entry.kind === 'directory' ? entry.prefix : entry.key))).toEqual(['a', 'a', 'z', 'z']);
  });

  it('is refused with the name of the right that is missing', async () => {
    await using at = await fakeWithStores();
    const store = await at.storeOf(['s3:ListBucket', 's3:GetObject']);
    await expect(versionsOf(store)).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('s3:ListBucketVersions') as string,
    });
    at.bucket.add('repo/k', bytes);
    const [entry] = await versionsOf(at.once);
    const version = entry?.kind === 'version' ? entry.version : '';
    await expect(store.stat('k', { signal, version })).rejects.toMatchObject({ code: 'denied' });
    expect(await store.stat('k', { signal })).toMatchObject({ version });
  });

  it.each([501, 405])('is unsupported where the server answers %i', async (status) => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(status, 'NotImplemented'));
    await expect(versionsOf(at.once)).rejects.toMatchObject({ code: 'unsupported' });
  });

  it.each([
    ['promises more and does not say how', tag('IsTruncated', true)],
    ['is of something else', '<html><body>Welcome</body></html>'],
  ])('refuses a page that %s', async (_, content) => {
    await using at = await fakeWithStores();
    at.fake.fail(says({ status: 200, body: xml('ListVersionsResult', content) }));
    await expect(versionsOf(at.once)).rejects.toMatchObject({ name: 'WalholdError' });
  });

  it('refuses pages that lead in a circle', async () => {
    await using at = await fakeWithStores();
    const body = xml('ListVersionsResult', tag('IsTruncated', true) + tag('NextKeyMarker', 'repo/a'));
    at.fake.fail(says({ status: 200, body }), { times: 3 });
    await expect(versionsOf(at.once)).rejects.toMatchObject({ code: 'store-rejected' });
    expect(at.fake.requests).toHaveLength(2);
  });
});

describe('what a bucket on S3 says of itself', () => {
  const LIFECYCLE = [
    '<Rule><ID>old wal</ID><Status>Enabled</Status><Filter><Prefix>repo/wal</Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule>',
    '<Rule><ID>everything</ID><Status>Enabled</Status><Filter/><NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration></Rule>',
    '<Rule><ID>off</ID><Status>Disabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>',
    '<Rule><ID>beside</ID><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule>',
    '<Rule><ID>parts</ID><Status>Enabled</Status><Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>',
  ].join('');

  it('is told in full to who may see it, with the rules that remove what is ours', async () => {
    await using at = await fakeWithStores({
      bucket: { lock: { byDefault: { mode: 'COMPLIANCE', days: 14 } }, lifecycle: LIFECYCLE },
    });
    expect(await at.once.locks?.bucket({ signal })).toEqual({
      versioning: 'on',
      lockable: true,
      defaultRetention: { mode: 'compliance', periodMs: 14 * 24 * HOUR },
      lifecycle: [
        'rule old wal, for repo/wal: Expiration after 30 days',
        'rule everything, for everything: NoncurrentVersionExpiration after 7 days',
      ],
      why: [],
    });
  });

  it.each(['on', 'suspended', 'off'] as const)(
    'is told where nothing is set and versioning is %s',
    async (versioning) => {
      await using at = await fakeWithStores({ bucket: { versioning } });
      const nothingSet = { lockable: false, defaultRetention: 'none', lifecycle: [], why: [] };
      expect(await at.once.locks?.bucket({ signal })).toEqual({ versioning, ...nothingSet });
    },
  );

  it('is unknown where it may not be seen, each with the right that is missing', async () => {
    await using at = await fakeWithStores({ bucket: { lock: {} } });
    const blind = await (await at.storeOf(['s3:PutObject'])).locks?.bucket({ signal });
    expect(blind).toMatchObject({ versioning: undefined, lockable: undefined, defaultRetention: undefined });
    expect(blind?.lifecycle).toBeUndefined();
    expect(blind?.why.map((one) => /s3:\w+/.exec(one)?.[0])).toEqual([
      's3:GetBucketVersioning',
      's3:GetBucketObjectLockConfiguration',
      's3:GetLifecycleConfiguration',
    ]);
    const half = await (await at.storeOf(['s3:GetBucketVersioning'])).locks?.bucket({ signal });
    expect(half).toMatchObject({ versioning: 'on', lockable: undefined });
    expect(half?.why).toHaveLength(2);
  });

  it('is not unknown but unreachable when the store is down', async () => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(503, 'SlowDown'));
    await expect(at.once.locks?.bucket({ signal })).rejects.toMatchObject({ code: 'unreachable' });
  });
});

describe('a probe with the credentials at hand', () => {
  const PROBE = 'check/probe';
  const KEEPERS = ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:PutObjectRetention', 's3:GetObjectRetention'];
  const locked = async (store: Store): Promise<void> => {
    const lock = { mode: 'governance' as const, periodMs: HOUR };
    await store.create(PROBE, { kind: 'buffer', bytes }, { signal, lock });
  };

  it('finds that nothing can be deleted with those of an archiver', async () => {
    await using at = await fakeWithStores({ bucket: { lock: {} } });
    const store = await at.storeOf(KEEPERS);
    await locked(store);
    expect(await store.probe?.remove?.(PROBE, { signal })).toEqual({ name: 'refused', version: 'refused' });
    expect(at.bucket.keys).toEqual([`repo/${PROBE}`]);
  });

  it('finds that an administrator can bypass governance, and hide a name', async () => {
    await using at = await fakeWithStores({ bucket: { lock: {} } });
    await locked(at.once);
    expect(await at.once.probe?.remove?.(PROBE, { signal })).toEqual({ name: 'accepted', version: 'accepted' });
    expect(at.bucket.keys).toEqual([]);
  });

  it('finds that who may delete but not bypass is held by the lock', async () => {
    await using at = await fakeWithStores({ bucket: { lock: {} } });
    const store = await at.storeOf([...KEEPERS, 's3:DeleteObjectVersion']);
    await locked(store);
    expect(await store.probe?.remove?.(PROBE, { signal })).toEqual({ name: 'refused', version: 'refused' });
  });

  it('finds no version to delete where none are kept', async () => {
    await using at = await fakeWithStores({ bucket: { versioning: 'off' } });
    await at.once.create(PROBE, { kind: 'buffer', bytes }, { signal });
    expect(await at.once.probe?.remove?.(PROBE, { signal })).toEqual({ name: 'accepted', version: 'untried' });
  });

  it('finds out whether the bucket enforces conditions', async () => {
    await using at = await fakeWithStores();
    await at.once.create(PROBE, { kind: 'buffer', bytes }, { signal });
    expect(await at.once.probe?.overwrite?.(PROBE, Buffer.from('x'), { signal })).toBe('accepted');
    at.bucket.options = { demandsCondition: true };
    expect(await at.once.probe?.overwrite?.(PROBE, Buffer.from('y'), { signal })).toBe('refused');
    expect(at.bucket.versions.get(`repo/${PROBE}`)).toHaveLength(2);
  });

  it.each([
    [503, 'SlowDown', 'unreachable'],
    [403, 'InvalidAccessKeyId', 'denied'],
  ])('does not take %i %s for a refusal', async (status, code, ours) => {
    await using at = await fakeWithStores();
    at.fake.fail(answers(status, code), { times: 9 });
    await expect(at.once.probe?.overwrite?.(PROBE, bytes, { signal })).rejects.toMatchObject({ code: ours });
  });
});

describe('removing on S3', () => {
  const removerFor = (at: FakeWithStores, allowed?: readonly string[]): Promise<RemovingStore> => {
    if (allowed !== undefined) at.fake.addKey('AKREMOVER', allowed);
    return s3Remover({ ...at.settings, ...(allowed === undefined ? {} : { credentials: keysOf('AKREMOVER') }) });
  };

  it('takes one version and leaves the others', async () => {
    await using at = await fakeWithStores();
    const [old, later] = [at.bucket.add('repo/k', bytes), at.bucket.add('repo/k', bytes)];
    const remover = await removerFor(at, ['s3:DeleteObjectVersion']);
    await remover.remove('k', { signal, version: later.id });
    expect(at.bucket.versions.get('repo/k')).toEqual([old]);
    await remover.remove('k', { signal, version: later.id });
    await remover.close();
  });

  it('says until when a version is locked, where that can be seen', async () => {
    await using at = await fakeWithStores({ bucket: { lock: {} } });
    const until = new Date(Date.UTC(2099, 0, 2));
    const { id: version } = at.bucket.add('repo/k', bytes, { retention: { mode: 'COMPLIANCE', until }, hold: 'ON' });
    const seeing = await removerFor(at);
    await expect(seeing.remove('k', { signal, version })).rejects.toMatchObject({
      code: 'denied',
      detail: expect.stringMatching(/locked in compliance mode until 2099-01-02T00:00:00.000Z; .*legal hold/) as string,
      hint: 'Wait until it falls free.',
    });
    const blind = await removerFor(at, ['s3:DeleteObjectVersion']);
    await expect(blind.remove('k', { signal, version })).rejects.toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('s3:GetObjectRetention') as string,
    });
    await Promise.all([seeing.close(), blind.close()]);
  });

  it('never places a marker for want of a version', async () => {
    await using at = await fakeWithStores();
    const { id } = at.bucket.add('repo/k', bytes);
    const remover = await removerFor(at);
    await expect(remover.remove('k', { signal, version: undefined })).rejects.toMatchObject({ code: 'refused' });
    await remover.remove('none', { signal, version: undefined });
    expect(at.bucket.versions.get('repo/k')?.map((one) => one.id)).toEqual([id]);
    expect(at.bucket.versions.has('repo/none')).toBe(false);
    await remover.close();
  });

  it('takes the one content of a name where no versions are kept', async () => {
    await using at = await fakeWithStores({ bucket: { versioning: 'off' } });
    at.bucket.add('repo/k', bytes);
    const remover = await removerFor(at);
    await remover.remove('k', { signal, version: undefined });
    expect(at.bucket.versions.size).toBe(0);
    // Nor does one whose versioning is suspended get a marker for it.
    at.bucket.options = { versioning: 'suspended' };
    at.bucket.add('repo/k', bytes);
    await remover.remove('k', { signal, version: undefined });
    expect(at.bucket.versions.size).toBe(0);
    await remover.close();
  });

  it('hides a name for a new version to be written, and refuses where that would delete it', async () => {
    await using at = await fakeWithStores();
    at.bucket.add('repo/k', bytes);
    const remover = await removerFor(at);
    await remover.hide?.('k', { signal });
    expect(await at.once.create('k', { kind: 'buffer', bytes }, { signal })).toBe('created');
    expect(at.bucket.versions.get('repo/k')).toHaveLength(3);
    for (const versioning of ['off', 'suspended'] as const) {
      at.bucket.options = { versioning };
      await expect(remover.hide?.('k', { signal })).rejects.toMatchObject({ code: 'refused' });
    }
    expect(at.bucket.versions.get('repo/k')).toHaveLength(3);
    await remover.close();
  });

  it('repeats what is not answered', async () => {
    await using at = await fakeWithStores();
    const { id: version } = at.bucket.add('repo/k', bytes);
    const remover = await s3Remover({ ...at.settings, policy: at.patient });
    at.fake.fail(answers(503, 'SlowDown'), { times: 2 });
    await remover.remove('k', { signal, version });
    expect(at.bucket.versions.size).toBe(0);
    await remover.close();
  });
});
