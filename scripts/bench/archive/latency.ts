import { newCase, type Case } from '../figures.ts';
import { takeTurns } from '../turns.ts';
import type { Bench } from './bench.ts';
import { DRAIN_MEASURES, drainInto } from './drain.ts';
import { fillAll, RECOVERY_MEASURES, recoverFrom } from './recovery.ts';
import type { Repository } from './repository.ts';
import { slowLine, type SlowLine } from './slow-line.ts';
import { whoCan } from './who-can.ts';

export const LATENCY_METHOD: readonly string[] = [
  'latency: a proxy before MinIO holds every byte back by half of the time in each direction, so that a round trip takes all of it longer; a new connection costs a round trip more, as over a real line. Bandwidth is not limited and nothing is lost',
  'the backlog and the recovery are measured as in their own sections; repositories that are recovered from were filled without latency',
];

/** A backlog and a recovery with a store that is far away. */
export async function latency(bench: Bench, cases: Case[]): Promise<void> {
  if (!bench.stores.kinds.includes('S3')) {
    bench.tell('there is no S3 server, so no latency is measured');
    return;
  }
  for (const roundTripMs of bench.options.latencies) await drainAfar(bench, cases, roundTripMs);
  await recoverFromAfar(bench, cases);
}

async function drainAfar(
  { wal, archivers, stores, options, tell }: Bench,
  cases: Case[],
  roundTripMs: number,
): Promise<void> {
  const count = Math.min(...options.backlogs);
  const title = `A backlog of ${count} segments, to S3 with ${roundTripMs} ms of latency`;
  const one = newCase(title, 'walhold', DRAIN_MEASURES);
  cases.push(one);
  await takeTurns(one, whoCan(one, archivers, 'S3'), { rounds: options.rounds, tell }, async (archiver) => {
    const repository = await stores.repository('S3');
    await using line = await slowLineTo(repository, roundTripMs);
    const { seconds, bytes } = await drainInto(wal, count, archiver, repository, over(line, repository));
    await repository.remove();
    return { seconds, rate: count / seconds, storedMb: bytes / 1024 ** 2 };
  });
}

async function recoverFromAfar(bench: Bench, cases: Case[]): Promise<void> {
  const { archivers, options, tell, stores, messages: wal } = bench;
  const measured = options.latencies.map((roundTripMs) => {
    const title = `Recovery of ${options.replay} segments of messages, from S3 with ${roundTripMs} ms of latency`;
    return { one: newCase(title, 'walhold', RECOVERY_MEASURES), roundTripMs };
  });
  const [first] = measured;
  if (first === undefined) return;
  const able = whoCan(first.one, archivers, 'S3');
  await using filled = await fillAll({ wal, stores, tell }, first.one, able, 'S3', options.replay);
  for (const { one, roundTripMs } of measured) {
    for (const [name, reason] of first.one.missing) one.missing.set(name, reason);
    cases.push(one);
    await takeTurns(one, filled.all, { rounds: options.rounds, tell }, async ({ archiver, repository }) => {
      await using line = await slowLineTo(repository, roundTripMs);
      return await recoverFrom(wal, options.replay, archiver, over(line, repository));
    });
  }
}

async function slowLineTo(repository: Repository, roundTripMs: number): Promise<SlowLine> {
  if (repository.kind !== 'S3') throw new Error('only a server can be far away');
  return await slowLine(repository.port, roundTripMs);
}

/** The same repository, as it is seen from the other end of the line. */
function over({ port }: SlowLine, repository: Repository): Repository {
  return repository.kind === 'S3' ? { ...repository, port } : repository;
}
