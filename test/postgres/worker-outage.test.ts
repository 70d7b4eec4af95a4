import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { decompressFrames } from '../../src/stream/zstd.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';
import { archivedCluster, walhold, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, readyFiles } from '../support/archiving.ts';
import { LONG } from '../support/effort.ts';
import type { FakeBucket } from '../support/fake-s3-bucket.ts';
import { asUsual, drops, type Fault } from '../support/fake-s3-faults.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { startLoad } from '../support/load.ts';
import { archivingToS3 } from '../support/s3-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { workersOf } from '../support/workers.ts';

const OUTAGE_MS = LONG ? 600_000 : 12_000;
const LOAD = { clients: 2, payloadBytes: 8000, pauseMs: LONG ? 10 : 2, limitMs: OUTAGE_MS + 300_000 };
/** No checkpoint takes WAL away, so that what is stored can be compared with it. */
const KEPT = { max_wal_size: '16GB', min_wal_size: '8GB', checkpoint_timeout: '1h' };

/** How many requests are under way at once, each of which takes its time. */
class Counted {
  most = 0;
  #underWay = 0;
  readonly fault: Fault = async (...request) => {
    this.#underWay += 1;
    this.most = Math.max(this.most, this.#underWay);
    await delay(250);
    this.#underWay -= 1;
    await asUsual(...request);
  };
}

test(
  'a store that fails under load for long is waited for in sight of all, and then has the backlog at full speed',
  async () => {
    await using fake = await FakeS3.start();
    const bucket = fake.makeBucket('bucket');
    const { walhold: settings, env } = archivingToS3(fake, 'bucket');
    const impatient = { request_timeout: '2s', push_timeout: '7s', jobs: 4 };
    await using original = await archivedCluster({ settings: KEPT, env, walhold: { ...settings, ...impatient } });
    const { cluster } = original;
    await cluster.start();
    await using load = await startLoad(cluster, LOAD);
    await archiveEverything(cluster);
    const [pid] = await waitFor(
      () => (workersOf(cluster.dataDir).length === 1 ? workersOf(cluster.dataDir) : undefined),
      {
        what: 'the worker',
      },
    );

    const begun = performance.now();
    fake.fail(drops, { times: Number.POSITIVE_INFINITY });
    const seen: StatusJson[] = [];
    const outage = async (): Promise<boolean> => {
      seen.push(await statusOf(original));
      return performance.now() - begun > OUTAGE_MS;
    };
    await waitFor(outage, { what: 'the outage to have lasted', deadlineMs: OUTAGE_MS + 60_000 });
    expectLagShown(seen, pid);

    fake.forget();
    const puts = new Counted();
    fake.fail(puts.fault, { operation: 'PutObject', times: Number.POSITIVE_INFINITY });
    const backlog = await readyFiles(cluster);
    // The load goes on, and the archiver's own minute of rest is not waited for.
    const isDrained = async (): Promise<boolean> => {
      const ready = new Set(await readyFiles(cluster));
      return !backlog.some((name) => ready.has(name));
    };
    await waitFor(isDrained, { what: 'the backlog to be stored', deadlineMs: 180_000 });
    expect(backlog.length).toBeGreaterThan(5);
    // More than a call and one upload beside it.
    expect(puts.most).toBeGreaterThanOrEqual(3);
    expect(workersOf(cluster.dataDir)).toEqual([pid]);

    await load.stop();
    await archiveEverything(cluster, 120_000);
    const { worker, readyFiles: left } = await statusOf(original);
    expect({ left, worker }).toMatchObject({ left: 0, worker: { pid, push: { lastError: null } } });
    expect(await expectTruth(original, bucket)).toBeGreaterThan(backlog.length);
  },
  OUTAGE_MS + 600_000,
);

async function statusOf({ cluster, config }: Archived): Promise<StatusJson> {
  const { stdout } = await walhold(cluster, config, ['status', '--json', '-D', cluster.dataDir]);
  return JSON.parse(stdout) as StatusJson;
}

function expectLagShown(seen: readonly StatusJson[], pid: number | undefined): void {
  const [first, last] = [seen[0], seen.at(-1)];
  expect(last?.readyFiles).toBeGreaterThan(first?.readyFiles ?? Infinity);
  expect(last?.oldestReadySeconds).toBeGreaterThan(OUTAGE_MS / 2000);
  expect(last?.worker).toMatchObject({ running: true, pid, push: { state: 'failing' } });
  expect(last?.worker.push?.lastError?.message).toContain('could not store');
}

/** What the archiver believes to be stored, against the bucket; returns how much there was to compare. */
async function expectTruth({ cluster }: Archived, bucket: FakeBucket): Promise<number> {
  let compared = 0;
  for (const done of await cluster.walFiles('archive_status')) {
    const name = /^([0-9A-F]{24})\.done$/.exec(done)?.[1];
    if (name === undefined) continue;
    const [version] = bucket.versions.get(`cluster/wal/${name.slice(0, 8)}/${name.slice(0, 16)}/${name}.zst`) ?? [];
    const stored = decompressFrames(version?.bytes ?? Buffer.alloc(0), 1024 * 1024);
    const own = await readFile(join(cluster.dataDir, 'pg_wal', name));
    expect(stored.equals(own), name).toBe(true);
    compared += 1;
  }
  return compared;
}
