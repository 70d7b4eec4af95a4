import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { archivedCluster, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, switchWal } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { built } from '../support/hook.ts';
import { killCommands, seededNumbers } from '../support/killer.ts';
import { startLoad, type LoadReport } from '../support/load.ts';
import { EVERYTHING, judgeRows } from '../support/recovered-rows.ts';
import { hasPromoted, recoverFromArchive } from '../support/recovery.ts';
import { filedSegments } from '../support/repository-files.ts';
import { copyOf } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';

const SEED = Number(process.env['WALHOLD_TEST_SEED'] ?? 20261122);
const LOAD = { clients: 2, payloadBytes: 2000, pauseMs: 2, limitMs: LONG ? 900_000 : 120_000 };

/** The program, and the launcher above it. */
const PUSH = ['push.js', 'bin/walhold-push'];
const FETCH = ['fetch.js', 'bin/walhold-fetch'];

describe(`with seed ${SEED}`, () => {
  test('pushes that are killed at any moment have stored the file when one says so', async () => {
    await using original = await archivedCluster();
    const { cluster, config } = original;
    await cluster.start();
    await cluster.reconfigure({ archive_command: 'false' });
    await cluster.query('create table t as select 1 as i');
    const random = seededNumbers(SEED);
    let kills = 0;
    for (let segment = 0; segment < (LONG ? 100 : 3); segment += 1) {
      await cluster.query('insert into t select generate_series(1, 5000)');
      const path = `pg_wal/${await switchWal(cluster)}`;
      kills += await pushDespiteKills(original, path, random);
      const fetched = join(cluster.place.path, 'fetched');
      await cluster.runOk([await built('walhold-fetch'), '--config', config, basename(path), fetched]);
      const pair = [join(cluster.dataDir, path), fetched].map(async (file) => await readFile(file));
      const [own, stored] = await Promise.all(pair);
      expect(stored?.equals(own ?? Buffer.alloc(0))).toBe(true);
    }
    expect(kills).toBeGreaterThan(5);
  });

  test('a server that loses its power again and again leaves an archive with every row', async () => {
    await using original = await archivedCluster();
    const { cluster, repository } = original;
    await using copy = await startedAndCopied(original);
    const random = seededNumbers(SEED + 1);
    await using load = await startLoad(cluster, LOAD);
    for (let crash = 0; crash < (LONG ? 40 : 5); crash += 1) {
      const stored = (await filedSegments(repository)).length + 1 + random(3);
      const isStored = async (): Promise<boolean> => (await filedSegments(repository)).length >= stored;
      await waitFor(isStored, { what: 'more segments', everyMs: 1 + random(40) });
      await cluster.kill9();
      await cluster.start();
    }
    const rows = await load.stop();
    await archiveEverything(cluster, 120_000);
    await cluster.kill9();
    await expectEveryRow(original, copy, rows);
  });

  test('a recovery whose fetches are killed at any moment stops, and never ends too early', async () => {
    await using original = await archivedCluster();
    const { cluster, config } = original;
    await using copy = await startedAndCopied(original);
    for (let segment = 0; segment < (LONG ? 60 : 12); segment += 1) {
      await cluster.query('insert into load select max(id) + 1, repeat(md5(random()::text), 20) from load');
      await archiveEverything(cluster);
    }
    const expected = await fingerprint(cluster);
    await recoverFromArchive(copy, { config });
    const random = seededNumbers(SEED + 2);
    let kills = 0;
    for (let left = LONG ? 60 : 12; left > 0; left -= 1) {
      await copy.start({ until: 'nothing' });
      kills += await killCommands(copy, { words: FETCH, kills: 1, random, until: () => !copy.isRunning });
      const hasDecided = async (): Promise<boolean> => !copy.isRunning || hasPromoted(await copy.logText());
      await waitFor(hasDecided, { what: 'the recovery to end or to stop' });
      if (copy.isRunning) break;
    }
    expect(kills).toBeGreaterThan(5);
    if (!copy.isRunning) await copy.start();
    await copy.waitUntilPromoted();
    expect(await fingerprint(copy)).toEqual(expected);
  });
});

/** Pushes one file again and again, each time with a killer after it, until a push ends with 0; returns how many were killed. */
async function pushDespiteKills(
  { cluster, config }: Archived,
  path: string,
  random: (limit: number) => number,
): Promise<number> {
  for (let kills = 0; ;) {
    let over = false;
    const pushing = cluster
      .run([await built('walhold-push'), '--config', config, path], { cwd: cluster.dataDir })
      .finally(() => (over = true));
    const words = [PUSH[random(PUSH.length)] ?? ''];
    kills += await killCommands(cluster, { words, kills: 1, random, until: () => over });
    const { status } = await pushing;
    if (status === 0) return kills;
    expect([1, null]).toContain(status);
  }
}

/** Starts the cluster, with one row of load, and copies it. */
async function startedAndCopied({ cluster }: Archived): Promise<Cluster> {
  await cluster.start();
  await using load = await startLoad(cluster, LOAD);
  await waitFor(() => load.count > 0, { what: 'a row' });
  await load.stop();
  await archiveEverything(cluster);
  return await copyOf(cluster, { name: 'copy' });
}

async function expectEveryRow({ config }: Archived, copy: Cluster, rows: LoadReport): Promise<void> {
  await recoverFromArchive(copy, { config });
  await copy.start();
  await copy.waitUntilPromoted();
  const { missing, altered } = await judgeRows(copy, rows, EVERYTHING);
  expect({ missing, altered }).toEqual({ missing: [], altered: [] });
  expect(rows.committed.length).toBeGreaterThan(100);
}
