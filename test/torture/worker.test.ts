import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { archivedCluster, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, switchWal } from '../support/archiving.ts';
import { LONG } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { commandsOf, killCommands, seededNumbers } from '../support/killer.ts';
import { startLoad } from '../support/load.ts';
import { signalAll } from '../support/process-tree.ts';
import { EVERYTHING, judgeRows } from '../support/recovered-rows.ts';
import { recoverFromArchive } from '../support/recovery.ts';
import { copyOf } from '../support/standby.ts';
import { expectTruth } from '../support/stored-truth.ts';
import { waitFor } from '../support/wait-for.ts';
import { workersOf } from '../support/workers.ts';

/** One with which each kind of blow is among the first nine. */
const SEED = Number(process.env['WALHOLD_TEST_SEED'] ?? 20261128);
const LOAD = { clients: 2, payloadBytes: 2000, pauseMs: 2, limitMs: LONG ? 1_500_000 : 120_000 };
const ROUNDS = LONG ? 400 : 9;
/** No checkpoint takes WAL away, so that what is stored can be compared with it. */
const KEPT = { max_wal_size: '8GB', min_wal_size: '4GB', checkpoint_timeout: '1h' };
const WORKER = { worker_idle: '5min', push_timeout: '5s' };

describe(`with seed ${SEED}`, () => {
  test(
    'whatever of launcher, program, worker, server and store is killed, only what is stored is acknowledged, and all is in the end',
    async () => {
      await using original = await archivedCluster({ settings: KEPT, walhold: WORKER });
      const { cluster, repository } = original;
      await cluster.start();
      await cluster.query('create table load (id bigint primary key, payload text not null)');
      await archiveEverything(cluster);
      await using copy = await copyOf(cluster, { name: 'copy' });
      const random = seededNumbers(SEED);
      await using load = await startLoad(cluster, LOAD);
      let kills = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        await switchWal(cluster);
        kills += await strike(original, random);
        if (!cluster.isRunning) await cluster.start();
      }
      const rows = await load.stop();
      await archiveEverything(cluster, 120_000);
      expect(kills).toBeGreaterThan(ROUNDS / 2);
      // Each start after a crash takes most of the WAL away.
      expect(await expectTruth(cluster, repository, 1)).toBeGreaterThan(2);
      await expectTidy(original);

      await recoverFromArchive(copy, { config: original.config });
      await copy.start();
      await copy.waitUntilPromoted();
      const { missing, altered } = await judgeRows(copy, rows, EVERYTHING);
      expect({ missing, altered }).toEqual({ missing: [], altered: [] });
    },
    LONG ? 1_800_000 : 300_000,
  );

  test(
    'a recovery whose worker is killed at any moment comes to the end of the WAL, and brings every byte',
    async () => {
      await using original = await archivedCluster({ settings: KEPT, walhold: WORKER });
      const { cluster, config } = original;
      await cluster.start();
      await cluster.query('create table t (v text)');
      await archiveEverything(cluster);
      await using copy = await copyOf(cluster, { name: 'copy' });
      for (let segment = 0; segment < (LONG ? 400 : 30); segment += 1) {
        await cluster.query('insert into t select md5(random()::text) from generate_series(1, 200)');
        await switchWal(cluster);
      }
      await archiveEverything(cluster);
      await recoverFromArchive(copy, { config });
      const random = seededNumbers(SEED + 1);
      await copy.start({ until: 'nothing' });
      let promoted = false;
      const killing = killCommands(copy, { words: ['worker.js'], kills: 10_000, random, until: () => promoted });
      // Each call is a program and a worker that is not left to serve: slow on a machine that has more to do.
      const limitMs = LONG ? 1_500_000 : 240_000;
      await copy.waitUntilConnectable(limitMs);
      await copy.waitUntilPromoted(limitMs);
      promoted = true;
      expect(await killing).toBeGreaterThan(2);
      expect(await fingerprint(copy)).toEqual(await fingerprint(cluster));
    },
    LONG ? 1_800_000 : 300_000,
  );
});

/** One blow, at a moment of its own choice; returns how much it met. */
async function strike(original: Archived, random: (limit: number) => number): Promise<number> {
  const { cluster, repository } = original;
  await new Promise((resolve) => setTimeout(resolve, random(100)));
  const what = random(10);
  if (what === 0) {
    await cluster.kill9();
    return 1;
  }
  if (what <= 2) {
    await cluster.runOk(['mv', repository, `${repository}-away`]);
    await new Promise((resolve) => setTimeout(resolve, random(2000)));
    await cluster.runOk(['mv', `${repository}-away`, repository]);
    return 1;
  }
  const word = ['bin/walhold-push', 'push.js', 'worker.js'][random(3)] ?? '';
  // The first two live for moments only, and come with a segment.
  for (let look = 0; look < 200; look += 1) {
    if (look % 20 === 10) await switchWal(cluster);
    const victims = word === 'worker.js' ? workersOf(cluster.dataDir) : commandsOf(cluster, word);
    signalAll(victims.slice(0, 1), 'SIGKILL');
    if (victims.length > 0) return 1;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return 0;
}

/** Nothing is left for good of all that was cut off: only the notes, and what the next worker or call sweeps away. */
async function expectTidy({ cluster, repository }: Archived): Promise<void> {
  await cluster.stop();
  await waitFor(() => workersOf(cluster.dataDir).length === 0, { what: 'the workers to end with their server' });
  const spool = await readdir(join(cluster.dataDir, 'pg_wal/pgsql_tmp.walhold'));
  const notes = /^(known-|confirmed|own-wal|push-outage-|push-error|fetch-|request-|unserved|worker\.log|\.tmp-)/;
  // Of the last worker alone: it leaves a server that has ended as it is.
  const answers = /^(push|worker\.json|push-[0-9a-f]{16}-[0-9a-f]{16})$/;
  const left = spool.filter((name) => !notes.test(name));
  expect(left.filter((name) => !answers.test(name))).toEqual([]);
  expect(left.filter((name) => name.startsWith('push-')).length).toBeLessThanOrEqual(1);
  const wal = await readdir(join(repository, 'wal'), { recursive: true });
  expect(wal.filter((name) => name.includes('.tmp-'))).toEqual([]);
}
