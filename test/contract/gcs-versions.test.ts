import { describe, expect, it } from 'vitest';
import { MOST_VERSIONS, type Stranger } from '../../src/store/store.ts';
import { withVersions } from '../../src/store/with-versions.ts';
import { bytesOf, collected } from '../support/bytes.ts';
import { json } from '../support/fake-gcs-messages.ts';
import { fakeGcsWithStores } from '../support/fake-gcs-store.ts';
import { says } from '../support/fake-s3-faults.ts';

const { signal } = new AbortController();
const versioned = { bucket: { versioning: true }, pageItems: 3 };
const first = Buffer.from('first');
const later = Buffer.from('later, and longer');

describe('the versions of names on GCS', () => {
  it('are listed in the order of keys, of each the oldest first, with what is current', async () => {
    await using at = await fakeGcsWithStores(versioned);
    const made = ['b', 'a', 'b', 'wal/c', 'b', 'b'].map((key) => at.bucket.add(`repo/${key}`, first));
    at.bucket.remove('repo/a', null);
    const found = await collected(at.once.versions.list('', { signal }));
    expect(found.map((one) => (one.kind === 'version' ? [one.key, one.version, one.current] : one))).toEqual([
      ['a', String(made[1]?.generation), false],
      ['b', String(made[0]?.generation), false],
      ['b', String(made[2]?.generation), false],
      ['b', String(made[4]?.generation), false],
      ['b', String(made[5]?.generation), true],
      ['wal/c', String(made[3]?.generation), true],
    ]);
    const folded = await collected(at.once.versions.list('', { signal, delimited: true, after: 'b' }));
    expect(folded).toEqual([{ kind: 'directory', prefix: 'wal/' }]);
  });

  it('are told with the facts that a look tells, and each can be read by its name', async () => {
    await using at = await fakeGcsWithStores(versioned);
    at.bucket.add('repo/k', first);
    at.bucket.add('repo/k', later);
    const [old, live] = await collected(at.once.versions.list('k', { signal }));
    if (old?.kind !== 'version' || live?.kind !== 'version') throw new Error('there are not two versions');
    const { kind: _, current: __, ...facts } = live;
    expect(await at.once.stat('k', { signal })).toEqual(facts);
    expect(await at.once.stat('k', { signal, version: old.version })).toMatchObject({ bytes: 5, tag: old.tag });
    for (const [version, bytes] of [[old.version, first] as const, [live.version, later] as const]) {
      const opened = await at.once.open('k', { signal, version, range: { offset: 1 } });
      expect(opened?.info).toMatchObject({ version, tag: version, bytes: bytes.byteLength });
      expect((await bytesOf(opened?.chunks)).equals(bytes.subarray(1))).toBe(true);
    }
    expect(await at.once.stat('k', { signal, version: '1' })).toBeUndefined();
    expect(await at.once.open('k', { signal, version: '1' })).toBeUndefined();
  });

  it('of one name are as many as anybody needs, the oldest ones', async () => {
    await using at = await fakeGcsWithStores({ bucket: { versioning: true } });
    for (let made = 0; made < MOST_VERSIONS + 5; made += 1) at.bucket.add('repo/k', Buffer.from(String(made)));
    at.bucket.add('repo/z', first);
    const found = await collected(at.once.versions.list('', { signal }));
    expect(found).toHaveLength(MOST_VERSIONS + 1);
    expect(found[0]).toMatchObject({ key: 'k', bytes: 1 });
    expect(found.at(-1)).toMatchObject({ key: 'z' });
  });

  it('of a server that lists them by another order are refused', async () => {
    await using at = await fakeGcsWithStores(versioned);
    const item = (generation: string): object => ({
      name: 'repo/k',
      generation,
      size: '1',
      timeCreated: '2026-11-22T00:00:00Z',
    });
    at.fake.fail(says(json({ kind: 'storage#objects', items: [item('20'), item('3')] })));
    await expect(collected(at.once.versions.list('', { signal }))).rejects.toMatchObject({ code: 'store-rejected' });
  });

  it('are read by the oldest, whatever was put over it or deletes it', async () => {
    await using at = await fakeGcsWithStores(versioned);
    const strangers: Stranger[] = [];
    const store = withVersions(at.retrying, { onStranger: (one) => strangers.push(one) });
    for (const key of ['replaced', 'deleted', 'whole']) at.bucket.add(`repo/${key}`, first);
    at.bucket.add('repo/replaced', later);
    at.bucket.remove('repo/deleted', null);
    for (const key of ['replaced', 'deleted', 'whole']) {
      expect((await bytesOf((await store.open(key, { signal }))?.chunks)).toString(), key).toBe('first');
      expect(await store.stat(key, { signal }), key).toMatchObject({ bytes: 5 });
    }
    expect((await collected(store.list('', { signal }))).length).toBe(3);
    expect(strangers.map(({ kind, key }) => `${kind} ${key}`).sort()).toEqual([
      'hidden deleted',
      'later-version replaced',
    ]);
    expect(await store.stat('none', { signal })).toBeUndefined();
  });
});

describe('removing from GCS', () => {
  it('takes one version and no more', async () => {
    await using at = await fakeGcsWithStores(versioned);
    const [old, live] = [at.bucket.add('repo/k', first), at.bucket.add('repo/k', later)];
    await at.remover.remove('k', { signal, version: String(old.generation) });
    expect(at.bucket.generations.get('repo/k')).toEqual([live]);
    await at.remover.remove('k', { signal, version: undefined });
    expect(at.bucket.generations.size).toBe(0);
    await at.remover.remove('k', { signal, version: undefined });
    await at.remover.remove('k', { signal, version: String(old.generation) });
  });

  it('is refused for what is locked or held, and by a bucket that is not there', async () => {
    await using at = await fakeGcsWithStores({ bucket: { objectRetention: true } });
    await at.once.create(
      'k',
      { kind: 'buffer', bytes: first },
      { signal, lock: { mode: 'governance', periodMs: 1e9 } },
    );
    at.bucket.add('repo/held', first, { temporaryHold: true });
    for (const key of ['k', 'held']) {
      const refused = { code: 'denied', hint: expect.stringContaining('locked') as string };
      await expect(at.remover.remove(key, { signal, version: undefined }), key).rejects.toMatchObject(refused);
    }
    at.fake.buckets.clear();
    await expect(at.remover.remove('k', { signal, version: '1' })).rejects.toMatchObject({ code: 'store-rejected' });
  });

  it('sets a name aside where every version stays, and nowhere else', async () => {
    await using at = await fakeGcsWithStores(versioned);
    const old = at.bucket.add('repo/k', first);
    await at.remover.hide?.('k', { signal });
    expect(at.bucket.generations.get('repo/k')).toEqual([old]);
    expect(await at.once.create('k', { kind: 'buffer', bytes: later }, { signal })).toBe('created');
    await using flat = await fakeGcsWithStores();
    flat.bucket.add('repo/k', first);
    await expect(flat.remover.hide?.('k', { signal })).rejects.toMatchObject({ code: 'refused' });
    expect(flat.bucket.names).toEqual(['repo/k']);
  });
});

describe('the probe of GCS', () => {
  it('sees that a wrong sum is refused, or not', async () => {
    await using strict = await fakeGcsWithStores();
    await expect(strict.once.probe.createWithWrongChecksum('k', first, { signal })).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect(strict.bucket.names).toEqual([]);
    await using lax = await fakeGcsWithStores({ ignores: ['checksums'] });
    expect(await lax.once.probe.createWithWrongChecksum('k', first, { signal })).toBe('created');
    expect(await lax.once.probe.createWithWrongChecksum('k', first, { signal })).toBe('exists');
  });

  it('sees what could be overwritten and deleted', async () => {
    await using at = await fakeGcsWithStores(versioned);
    at.bucket.add('repo/k', first);
    expect(await at.once.probe.overwrite('k', later, { signal })).toBe('accepted');
    expect(await at.once.probe.remove('k', { signal })).toEqual({ name: 'accepted', version: 'accepted' });
    await using flat = await fakeGcsWithStores();
    flat.bucket.add('repo/k', first);
    expect(await flat.once.probe.remove('k', { signal })).toEqual({ name: 'accepted', version: 'untried' });
  });

  it('sees a server that ignores the condition', async () => {
    await using at = await fakeGcsWithStores({ ignores: ['conditions'] });
    const body = { kind: 'buffer' as const, bytes: first };
    expect(await at.once.create('k', body, { signal })).toBe('created');
    expect(await at.once.create('k', body, { signal })).toBe('created');
  });
});
