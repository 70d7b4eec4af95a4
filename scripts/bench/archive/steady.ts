import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../../../test/support/cluster.ts';
import { readyFiles } from '../../../test/support/archiving.ts';
import { waitFor } from '../../../test/support/wait-for.ts';
import { NO_ARCHIVING } from '../archive-by.ts';
import { newCase, type Case, type Values } from '../figures.ts';
import { spreadOf } from '../statistics.ts';
import { takeTurns } from '../turns.ts';
import { pgbench } from '../workload.ts';
import type { Archiver } from './archiver.ts';
import type { Bench } from './bench.ts';
import { doneAt, isDrained } from './drain.ts';
import { withTables } from './servers.ts';
import { whoCan } from './who-can.ts';

/** What a backlog that is left over may take; of what is still not stored then, the lag counts as it is by then. */
const PATIENCE_MS = 300_000;

export const STEADY_METHOD: readonly string[] = [
  `steady load: \`pgbench -c 4 -j 2\` runs against a server with PostgreSQL's own durability (fsync, synchronous_commit) on the same cores. Every trial begins from the same copy of the data. The row of \`${NO_ARCHIVING}\` is a server whose archive_command is just that`,
  'lag: from the moment when a segment is marked as ready to the moment when it is marked as done, by the times of the file system; its median and the longest of a trial. What pgbench has left behind is waited for and counts too',
];

const MEASURES = [
  { key: 'tps', title: 'tps', main: true },
  { key: 'segments', title: 'segments' },
  { key: 'lagMs', title: 'lag, ms' },
  { key: 'longestLagMs', title: 'longest lag, ms' },
  { key: 'backlog', title: 'waiting at the end' },
] as const;

/** Archives by doing nothing. */
const nothing: Archiver = {
  name: NO_ARCHIVING,
  version: '',
  setup: 'nothing is archived',
  stores: ['files', 'S3'],
  connect: async () => ({ archiveCommand: NO_ARCHIVING, restoreCommand: '', env: {} }),
};

/** What archiving costs those who use the server meanwhile, and how far it is behind. */
export async function steady({ wal, archivers, stores, options, tell }: Bench, cases: Case[]): Promise<void> {
  for (const kind of stores.kinds) {
    const one = newCase(`Steady load for ${options.seconds} s, to ${kind}`, NO_ARCHIVING, MEASURES);
    cases.push(one);
    const contenders = [...whoCan(one, archivers, kind), nothing];
    await takeTurns(one, contenders, { rounds: options.rounds, tell }, async (archiver) => {
      const repository = await stores.repository(kind);
      await using cluster = await withTables(wal, archiver, repository);
      const values = await underLoad(cluster, options.seconds);
      await repository.remove();
      return values;
    });
  }
}

async function underLoad(cluster: Cluster, seconds: number): Promise<Values> {
  await cluster.start();
  const load = pgbench(cluster, '-c', '4', '-j', '2', '-T', String(seconds), '-n');
  const { stdout } = await cluster.runOk(load, { timeoutMs: seconds * 1000 + 60_000 });
  const tps = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
  if (Number.isNaN(tps)) throw new Error(`pgbench tells no tps:\n${stdout}`);
  const backlog = (await readyFiles(cluster)).length;
  const end = performance.now() + PATIENCE_MS;
  const over = async (): Promise<boolean> => (await isDrained(cluster)) || performance.now() > end;
  await waitFor(over, { what: 'the rest to be archived', deadlineMs: 2 * PATIENCE_MS, everyMs: 100 });
  const lags = await lagsOf(cluster);
  if (lags.length === 0) return { tps, segments: 0, backlog };
  const { median, max } = spreadOf(lags);
  return { tps, segments: lags.length, lagMs: median, longestLagMs: max, backlog };
}

/** In ms, one per segment. The mark keeps the time at which it was written when it gets its other name. */
async function lagsOf(cluster: Cluster): Promise<number[]> {
  const marks = await cluster.walFiles('archive_status');
  return await Promise.all(
    marks.map(async (mark) => {
      const segment = mark.replace(/\.(ready|done)$/, '');
      const { mtimeMs } = await stat(join(cluster.dataDir, 'pg_wal', 'archive_status', mark));
      return (mark.endsWith('.done') ? await doneAt(cluster, segment) : Date.now()) - mtimeMs;
    }),
  );
}
