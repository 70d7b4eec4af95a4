import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAJORS } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { restored } from '../support/archived-cluster.ts';
import { crashedCluster, type Crashed, type Moment } from '../support/crashed-cluster.ts';
import { LONG, NEWEST } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { checkAllPages } from '../support/page-check.ts';
import { judgeRows } from '../support/recovered-rows.ts';
import { run } from '../support/run.ts';
import type { Cluster } from '../support/cluster.ts';

/** Megabytes in a WAL segment. Each size has its majors; in the long run every major has every size. */
const SEGMENT_MB: Readonly<Record<number, number>> = { 15: 16, 16: 64 };

const CASES = MAJORS.flatMap((major) => {
  const sizes = LONG ? [1, 16, 64] : [SEGMENT_MB[major] ?? 1];
  return sizes.map((segmentMb) => ({ major, segmentMb }));
});

/** What a target is does not differ between majors. */
const inAllWays = (major: number): boolean => LONG || major === NEWEST;
/** The end of the log is every major's; to a moment before it come those at both ends, and one with segments of the usual size. */
const toTime = (major: number): boolean => LONG || [MAJORS[0], 15, NEWEST].includes(major);

describe.each(CASES)('PostgreSQL $major with segments of $segmentMb MB, killed under load', ({ major, segmentMb }) => {
  let crashed: Crashed;
  beforeAll(async () => {
    crashed = await crashedCluster(major, segmentMb);
  });
  afterAll(async () => await crashed?.[Symbol.asyncDispose]());

  test.runIf(toTime(major))('comes back as it was at a time', async () => {
    await using cluster = await recoveredTo(crashed, crashed.moments.time);
    await cluster.stop();
    const { pages, bad } = await checkAllPages(cluster);
    expect(pages).toBeGreaterThan(500);
    expect(bad).toEqual([]);
  });

  test('comes back to the end of the WAL that is stored, and takes writes', async () => {
    await using cluster = await restored(crashed.cluster, crashed.config);
    await cluster.start();
    await cluster.waitUntilPromoted();
    await expectRows(cluster, crashed, crashed.moments.end);
    await cluster.query(`insert into load values (-1, 'after the recovery')`);
    expect(await cluster.value('show archive_mode')).toBe('off');
  });

  test.runIf(inAllWays(major))('comes back as it was at an LSN', async () => {
    await using _ = await recoveredTo(crashed, crashed.moments.lsn);
  });

  test.runIf(inAllWays(major))('comes back as it was after a transaction', async () => {
    await using _ = await recoveredTo(crashed, crashed.moments.xid);
  });

  test.runIf(inAllWays(major))('comes back as soon as it is consistent', async () => {
    await using _ = await recoveredTo(crashed, crashed.moments.immediate);
  });

  test.runIf(inAllWays(major))(
    'goes on from a named point on a new timeline, and either can be recovered',
    async () => {
      const onward = [...crashed.moments.name.flags, '--target-action', 'promote', '--archive-mode', 'preserve'];
      await using branch = await restored(crashed.cluster, crashed.config, onward);
      await branch.start();
      await branch.waitUntilPromoted();
      await expectRows(branch, crashed, crashed.moments.name);
      await branch.query(`insert into load values (-1, 'on timeline 2')`);
      await archiveEverything(branch);

      await using newer = await restored(crashed.cluster, crashed.config, ['--target-timeline', '2']);
      await newer.start();
      await newer.waitUntilPromoted();
      expect(await fingerprint(newer)).toEqual(await fingerprint(branch));

      await using older = await restored(crashed.cluster, crashed.config, ['--target-timeline', '1']);
      await older.start();
      await older.waitUntilPromoted();
      await expectRows(older, crashed, crashed.moments.end);
      expect(await older.value(`select count(*) from load where id = -1`)).toBe('0');
    },
  );

  test('is accepted by pg_verifybackup where there is one', async (context) => {
    const verify = join(crashed.cluster.postgres.bin, 'pg_verifybackup');
    if (!crashed.cluster.postgres.hasClients) context.skip();
    await using cluster = await restored(crashed.cluster, crashed.config);
    const stored = join(crashed.repository, 'backup', crashed.backup.id, 'backup_manifest.zst');
    const manifest = join(crashed.cluster.place.path, 'manifest');
    const unpacked = await run(['zstd', '-d', '-q', '-f', stored, '-o', manifest]);
    expect(unpacked.stderr).toBe('');
    const result = await run([verify, '--no-parse-wal', '--exit-on-error', '-m', manifest, cluster.dataDir]);
    expect(result).toMatchObject({ status: 0, stdout: 'backup successfully verified\n' });
  });
});

/** A cluster that has been restored for this moment, has replayed up to it and waits; its rows have been compared. */
async function recoveredTo(crashed: Crashed, moment: Moment): Promise<Cluster> {
  const cluster = await restored(crashed.cluster, crashed.config, moment.flags);
  try {
    await cluster.start();
    await cluster.waitForLog(/pausing at the end of recovery|recovery has paused/);
    await expectRows(cluster, crashed, moment);
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function expectRows(cluster: Cluster, { rows, backup }: Crashed, { expected }: Moment): Promise<void> {
  const { found, undecided, ...faults } = await judgeRows(cluster, rows, expected);
  expect(faults).toEqual({ missing: [], surplus: [], unknown: [], altered: [] });
  expect(found).toBeGreaterThan(0);
  expect(backup.stopLsn).toBeGreaterThan(backup.startLsn);
  // Else nothing was compared: only rows in flight may be undecided, and those written during a backup.
  expect(undecided).toBeLessThan(rows.committed.length / 2);
}
