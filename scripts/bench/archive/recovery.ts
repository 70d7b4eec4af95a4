import { newCase, type Case, type Measure, type Values } from '../figures.ts';
import { fallOut, takeTurns } from '../turns.ts';
import { walNameOf } from './wal-position.ts';
import { GiveUp, waitFor } from '../../../test/support/wait-for.ts';
import type { Cluster } from '../../../test/support/cluster.ts';
import type { Archiver } from './archiver.ts';
import type { Bench } from './bench.ts';
import { drainInto } from './drain.ts';
import type { Repository, StoreKind } from './repository.ts';
import { recoveryOf, type Recovery } from './restore-waits.ts';
import { toRecover, type Around } from './servers.ts';
import { whoCan } from './who-can.ts';
import type { WalContent } from './wal-content.ts';
import type { Wal } from './wal.ts';

const MS_PER_SEGMENT = 5_000;

export const RECOVERY_METHOD: readonly string[] = [
  'recovery: a server that has a copy of the data before the first segment, and no WAL, is started with recovery.signal and replays all that the repository holds. From its start to the log\'s "redo done", which must lie in the last segment. Each repository was filled by its own tool, once',
  'segments of messages (pg_logical_emit_message) are only read by replay, which therefore waits for whoever brings them; replaying those of transactions is work',
  'waiting: the time that the startup process waits for restore_command, as its own log tells at `debug3`: from "executing restore command" to what came of it, all calls added up, over the whole. No connection and no further process takes part',
];

export const RECOVERY_MEASURES: readonly Measure[] = [
  { key: 'seconds', title: 'seconds', main: true },
  { key: 'waitingPercent', title: 'waiting, %' },
  { key: 'callMs', title: 'ms per call' },
];

/** How long a server takes to replay what a repository holds. */
export async function recovery(bench: Bench, cases: Case[]): Promise<void> {
  const { wal, messages, options } = bench;
  for (const kind of bench.stores.kinds) {
    await recoveryOfAll(bench, cases, { kind, wal: messages, count: options.replay, content: 'messages' });
    await recoveryOfAll(bench, cases, { kind, wal, count: options.busyReplay, content: 'transactions' });
  }
}

async function recoveryOfAll(
  { archivers, stores, options, tell }: Bench,
  cases: Case[],
  { kind, wal, count, content }: { kind: StoreKind; wal: Wal; count: number; content: WalContent },
): Promise<void> {
  const one = newCase(`Recovery of ${count} segments of ${content}, from ${kind}`, 'walhold', RECOVERY_MEASURES);
  cases.push(one);
  await using filled = await fillAll({ wal, stores, tell }, one, whoCan(one, archivers, kind), kind, count);
  await takeTurns(one, filled.all, { rounds: options.rounds, tell }, async ({ archiver, repository }) => {
    return await recoverFrom(wal, count, archiver, repository);
  });
}

/** A contender and its repository, with the segments in it. */
export interface Filled {
  name: string;
  archiver: Archiver;
  repository: Repository;
}

/** Fills a repository for each contender with the first `count` segments; one that fails falls out of the case. The repositories go with the result. */
export async function fillAll(
  { wal, stores, tell }: Pick<Bench, 'wal' | 'stores' | 'tell'>,
  one: Case,
  archivers: readonly Archiver[],
  kind: StoreKind,
  count: number,
): Promise<AsyncDisposable & { all: Filled[] }> {
  const all: Filled[] = [];
  for (const archiver of archivers) {
    const { name } = archiver;
    const repository = await stores.repository(kind);
    tell(`${one.title}: ${name} fills its repository`);
    all.push({ name, archiver, repository });
    try {
      await drainInto(wal, count, archiver, repository);
    } catch (error) {
      fallOut(one, name, error, tell);
    }
  }
  const dispose = async (): Promise<void> => {
    for (const { repository } of all) await repository.remove();
  };
  return { all, [Symbol.asyncDispose]: dispose };
}

/** Recovers a new server from a repository that holds the first `count` segments. */
export async function recoverFrom(
  wal: Wal,
  count: number,
  archiver: Archiver,
  repository: Repository,
  around: Around = {},
): Promise<Values> {
  await using cluster = await toRecover(wal, archiver, repository, around);
  const { started, doneAt, doneLsn, waited, calls } = await recover(cluster, count);
  const last = wal.segments[count - 1];
  if (walNameOf(doneLsn) !== last) throw new Error(`the recovery ended at ${doneLsn}, which is not in ${last}`);
  const seconds = doneAt - started;
  return { seconds, waitingPercent: (100 * waited) / seconds, callMs: (1000 * waited) / calls };
}

async function recover(cluster: Cluster, count: number): Promise<Recovery & { started: number }> {
  await cluster.configure({ log_min_messages: 'debug3' });
  const started = Date.now() / 1000;
  await cluster.start({ until: 'nothing' });
  const probe = async (): Promise<Recovery | undefined> => {
    if (!cluster.isRunning) throw new GiveUp(`the server ended in recovery\n${await cluster.logTail()}`);
    return recoveryOf(await cluster.logText());
  };
  const deadlineMs = count * MS_PER_SEGMENT + 60_000;
  return { ...(await waitFor(probe, { what: 'the end of recovery', deadlineMs, everyMs: 100 })), started };
}
