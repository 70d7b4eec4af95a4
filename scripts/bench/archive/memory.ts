import { setTimeout as delay } from 'node:timers/promises';
import { processesWith } from '../../../test/support/process-tree.ts';
import { newCase, type Case } from '../figures.ts';
import { sampleSums } from '../memory.ts';
import { spreadOf } from '../statistics.ts';
import { takeTurns } from '../turns.ts';
import type { Bench } from './bench.ts';
import { drainServer } from './drain.ts';
import { recoverFrom } from './recovery.ts';
import { withBacklog } from './servers.ts';
import { whoCan } from './who-can.ts';

const EVERY_MS = 100;

/** Marks everything that the commands start, in its environment. */
const MARK = 'BENCHMARKED_TOOL';

const IDLE_MS = 10_000;
/** Until what is idle has let go of what it used. */
const SETTLING_MS = 5_000;

export const MEMORY_METHOD: readonly string[] = [
  'memory: the proportional set sizes of all processes that the two commands have started, and of what those have started, added up, ten times a second: the largest sum while a backlog is archived and while it is replayed; while nothing is to be done the median of ten seconds that begin five seconds after the last segment. PostgreSQL itself is not in it. 0: nothing runs between the calls',
];

const MEASURES = [
  { key: 'archivingMb', title: 'archiving, MB', main: true },
  { key: 'idleMb', title: 'idle, MB' },
  { key: 'recoveringMb', title: 'recovering, MB' },
] as const;

const MIB = 1024 ** 2;

/** What a tool needs, busy and idle. */
export async function memory({ wal, archivers, stores, options, tell }: Bench, cases: Case[]): Promise<void> {
  const count = Math.min(...options.backlogs);
  const names = wal.segments.slice(0, count);
  const mark = (command: string): string => `${MARK}=1 ${command}`;
  const around = { archive: mark, restore: mark };
  for (const kind of stores.kinds) {
    const one = newCase(`Memory with ${count} segments, ${kind}`, 'walhold', MEASURES);
    cases.push(one);
    await takeTurns(one, whoCan(one, archivers, kind), { rounds: options.rounds, tell }, async (archiver) => {
      const repository = await stores.repository(kind);
      let archivingMb = 0;
      let idleMb = 0;
      {
        await using cluster = await withBacklog(wal, count, archiver, repository, around);
        archivingMb = await peakOf(async () => await drainServer(cluster, names, repository));
        await delay(SETTLING_MS);
        idleMb = await idle();
      }
      const recoveringMb = await peakOf(async () => await recoverFrom(wal, count, archiver, repository, around));
      await repository.remove();
      return { archivingMb, idleMb, recoveringMb };
    });
  }
}

const marked = (): number[] => processesWith(MARK, '1');

async function peakOf(work: () => Promise<unknown>): Promise<number> {
  const sampler = sampleSums(marked, EVERY_MS);
  try {
    await work();
  } finally {
    sampler.stop();
  }
  return Math.max(...sampler.stop()) / MIB;
}

async function idle(): Promise<number> {
  const sampler = sampleSums(marked, EVERY_MS);
  await delay(IDLE_MS);
  return spreadOf(sampler.stop()).median / MIB;
}
