import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../../../test/support/cluster.ts';
import { readyFiles } from '../../../test/support/archiving.ts';
import { GiveUp, waitFor } from '../../../test/support/wait-for.ts';
import { newCase, type Case, type Measure, type Values } from '../figures.ts';
import { takeTurns } from '../turns.ts';
import type { Archiver } from './archiver.ts';
import type { Bench } from './bench.ts';
import { COMPRESSION_ALONE, COMPRESSION_METHOD, compressionAlone } from './floors.ts';
import type { Repository } from './repository.ts';
import { withBacklog, type Around } from './servers.ts';
import { whoCan } from './who-can.ts';
import type { Wal } from './wal.ts';

const ARCHIVER_STARTED = `
  select extract(epoch from backend_start)::float8 from pg_stat_activity where backend_type = 'archiver'`;

/** Longer than the slowest tool takes for a segment over the longest line. */
const MS_PER_SEGMENT = 5_000;

export const DRAIN_METHOD: readonly string[] = [
  "a backlog: a server whose archive_command is set begins with so many segments of pgbench's transactions ready to be archived. From the start of its archiver process to the moment when the last of them is marked as done (times of the server's own process table and of the file system), after which the repository is searched for all of them",
  COMPRESSION_METHOD,
];

/** How long a backlog takes until it is archived. */
export async function drain({ wal, archivers, stores, options, tell }: Bench, cases: Case[]): Promise<void> {
  for (const kind of stores.kinds) {
    for (const count of options.backlogs) {
      const title = `A backlog of ${count} segments, to ${kind}`;
      const one = newCase(title, 'walhold', DRAIN_MEASURES);
      cases.push(one);
      const archiving = whoCan(one, archivers, kind).map((archiver) => ({
        name: archiver.name,
        trial: async (): Promise<Values> => {
          const repository = await stores.repository(kind);
          const { seconds, bytes } = await drainInto(wal, count, archiver, repository);
          await repository.remove();
          return { seconds, rate: count / seconds, storedMb: bytes / 1024 ** 2 };
        },
      }));
      const alone = { name: COMPRESSION_ALONE, trial: async () => await compressionAlone(wal, count) };
      const all = kind === 'files' ? [...archiving, alone] : archiving;
      await takeTurns(one, all, { rounds: options.rounds, tell }, async ({ trial }) => await trial());
    }
  }
}

export const DRAIN_MEASURES: readonly Measure[] = [
  { key: 'seconds', title: 'seconds', main: true },
  { key: 'rate', title: 'segments/s' },
  { key: 'storedMb', title: 'stored MB' },
];

export interface Drained {
  seconds: number;
  /** As the repository holds them. */
  bytes: number;
}

/** Has a real server archive the first `count` segments, once. */
export async function drainInto(
  wal: Wal,
  count: number,
  archiver: Archiver,
  repository: Repository,
  via: Repository = repository,
  around: Around = {},
): Promise<Drained> {
  await using cluster = await withBacklog(wal, count, archiver, via, around);
  return await drainServer(cluster, wal.segments.slice(0, count), repository);
}

/** {@link drainInto} for a server that is ready to be started; it goes on running. */
export async function drainServer(
  cluster: Cluster,
  names: readonly string[],
  repository: Repository,
): Promise<Drained> {
  await cluster.start();
  const started = await waitFor(async () => await cluster.value<number>(ARCHIVER_STARTED), { what: 'the archiver' });
  await waitUntilDrained(cluster, names.length * MS_PER_SEGMENT + 60_000);
  const ends = await Promise.all(names.map(async (name) => await doneAt(cluster, name)));
  const { names: found, bytes } = await repository.stored(new Set(names));
  if (found !== names.length) throw new Error(`of ${names.length} segments marked as done ${found} are stored`);
  return { seconds: Math.max(...ends) / 1000 - started, bytes };
}

/** When a segment was marked as archived, in ms of the epoch: the mark is a new name for the one that it was ready. */
export async function doneAt(cluster: Cluster, segment: string): Promise<number> {
  return (await stat(join(cluster.dataDir, 'pg_wal', 'archive_status', `${segment}.done`))).ctimeMs;
}

async function waitUntilDrained(cluster: Cluster, deadlineMs: number): Promise<void> {
  const probe = async (): Promise<boolean> => await isDrained(cluster);
  await waitFor(probe, { what: 'the backlog to be archived', deadlineMs, everyMs: 100 });
}

/** @throws GiveUp when the server has given up for a minute, after three failures in a row. */
export async function isDrained(cluster: Cluster): Promise<boolean> {
  if ((await readyFiles(cluster)).length === 0) return true;
  const log = await cluster.logText();
  if (/failed too many times/.test(log)) throw new GiveUp(`archiving fails\n${log.slice(-2000)}`);
  return false;
}
