import { appendFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { archivedCluster, backUp, restored, walholdOk } from '../support/archived-cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { blocksFor, textsWithPlaces } from '../support/document-blocks.ts';
import { refusal } from '../support/fake-gcs-messages.ts';
import type { GcsRight } from '../support/fake-gcs-rights.ts';
import { FakeGcs } from '../support/fake-gcs.ts';
import { FakeGoogleTokens } from '../support/fake-google-tokens.ts';
import { drops, losesAnswer, says } from '../support/fake-s3-faults.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { writeConfig } from '../support/hook.ts';

const DAY_MS = 86_400_000;

describe('a cluster that archives to Google Cloud Storage', () => {
  test('is backed up and comes back whole, locked, through faults, by keys that can neither replace nor delete', async () => {
    await using tokens = await FakeGoogleTokens.start();
    const rights: Record<string, GcsRight[]> = {};
    await using fake = await FakeGcs.start({ tokens: rights });
    const bucket = fake.makeBucket('bucket', { objectRetention: true });
    const own = {
      gcs_endpoint: fake.endpoint,
      lock_mode: 'compliance',
      lock_period: '30d',
      request_timeout: '5s',
      jobs: 2,
    };
    await using archived = await archivedCluster({ segmentMb: 16 });
    const { cluster, config } = archived;
    const archiver = await tokens.keyFile(cluster.place.path, 'archiver');
    const shown = { 'my-bucket': 'bucket', '/etc/walhold/archiver.json': archiver };
    const [place = ''] = textsWithPlaces(blocksFor(import.meta.url, 'walhold.conf'), shown);
    await writeConfig(cluster, own);
    await appendFile(config, place);
    for (const role of ['archiver', 'restorer']) rights[role] = await printedRights(cluster, config, role);
    expect(rights).toEqual({
      archiver: expect.not.arrayContaining(['objects.delete', 'objects.update']) as string[],
      restorer: ['objects.get', 'objects.list', 'buckets.get'],
    });
    await cluster.start();
    // Nothing to compress, so that what is stored does not fit into one request.
    await cluster.query(`create table t as select i, sha512(i::text::bytea) as v from generate_series(1, 300000) i`);
    for (const operation of ['insert', 'begin', 'chunk'] as const) {
      fake.fail(says(refusal(503, 'backendError')), { operation });
      fake.fail(drops, { operation });
      fake.fail(losesAnswer, { operation });
    }
    await archiveEverything(cluster);
    const id = await backUp(cluster, config, ['-j', '2']);
    expect(fake.allFaultsMet).toBe(true);
    await archiveEverything(cluster);
    await walholdOk(cluster, config, ['verify']);
    const before = await fingerprint(cluster);

    const restorer = await tokens.keyFile(cluster.place.path, 'restorer');
    const reading = await writeConfig(
      cluster,
      { repo: 'gs://bucket/main', gcs_endpoint: fake.endpoint, gcs_key_file: restorer },
      'restorer.conf',
    );
    await using copy = await restored(cluster, reading, ['--backup', id]);
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await fingerprint(copy)).toEqual(before);

    const all = [...bucket.generations.values()].flat();
    expect(all.length).toBeGreaterThan(5);
    expect(fake.requests).not.toContain('delete');
    for (const { name, retention } of all) {
      expect(retention?.mode, name).toBe('Locked');
      expect(Date.parse(retention?.retainUntilTime ?? ''), name).toBeGreaterThan(Date.now() + 29 * DAY_MS);
    }
  });
});

/** What `lock policy` grants to a role, as the fake names it. */
async function printedRights(cluster: Cluster, config: string, role: string): Promise<GcsRight[]> {
  const { stdout } = await walholdOk(cluster, config, ['lock', 'policy', '--for', role]);
  const lists = [...stdout.matchAll(/--permissions=(\S+)/g)].map(([, list = '']) => list.split(','));
  return [...new Set(lists.flat())].map((right) => right.replace(/^storage\./, '') as GcsRight);
}
