import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TASKS, type Contender, type Task } from './contender.ts';
import { measure, type Measurement, type Trial } from './measure.ts';
import type { BenchOptions } from './options.ts';
import { rotated } from './rotated.ts';
import { settle } from './settle.ts';
import { sizeOf } from './size-of.ts';
import { timedBackup, timedRestore } from './trials.ts';
import type { Workload } from './workload.ts';

/** What was measured of one contender in one task. */
export interface Results {
  /** Per round; of a push and a fetch the mean of the round's segments. */
  seconds: number[];
  peakBytes: number[];
  /** Of a backup, as `du` counts. */
  storedBytes: number | undefined;
}

export type Table = Map<Task, Map<string, Results>>;

/** How often the memory of a push and a fetch is sampled: they are over before a sampler at a slower pace has looked twice. */
const SAMPLE_MS = 10;

/** A segment more than is timed: its push and fetch are sampled for memory, which would disturb the clock. */
export const SAMPLED_SEGMENTS = 1;

/** All rounds. The contenders of a task follow one another, and another one begins in each round. */
export async function runRounds(
  workload: Workload,
  contenders: readonly Contender[],
  { rounds, segments }: BenchOptions,
  tell: (line: string) => void,
): Promise<Table> {
  const table: Table = new Map(TASKS.map((task) => [task, new Map()]));
  const scratch = await makeScratch(workload);
  for (let round = 0; round < rounds; round += 1) {
    const perRound = segments + SAMPLED_SEGMENTS;
    const names = workload.segments.slice(round * perRound, (round + 1) * perRound);
    for (const task of TASKS) {
      for (const contender of rotated(contenders, round)) {
        if (contender[task] === undefined) continue;
        const results = resultsOf(table, task, contender.name);
        await trial(workload, contender, task, names, scratch, results);
        const last = results.seconds.at(-1) ?? Number.NaN;
        tell(`round ${round + 1} of ${rounds}: ${task} by ${contender.name}: ${last.toFixed(3)} s`);
      }
    }
  }
  return table;
}

async function trial(
  workload: Workload,
  contender: Contender,
  task: Task,
  segments: readonly string[],
  scratch: string,
  results: Results,
): Promise<void> {
  switch (task) {
    case 'push':
      return await manySegments(workload, segments, results, (segment) => contender.push?.(segment), async () => {}); // prettier-ignore
    case 'fetch': {
      const target = join('pg_wal', 'RECOVERYXLOG');
      const remove = async (): Promise<void> => await rm(join(scratch, target));
      return await manySegments(workload, segments, results, (name) => contender.fetch?.(name, scratch, target), remove); // prettier-ignore
    }
    case 'backup':
      return await backUp(workload, contender, results);
    case 'restore':
      return await restore(workload, contender, results);
  }
}

/** One after the other, as the server calls: all but the last by the clock, the last by memory. */
async function manySegments(
  { cluster }: Workload,
  segments: readonly string[],
  results: Results,
  trialOf: (segment: string) => Trial | undefined,
  after: () => Promise<void>,
): Promise<void> {
  let seconds = 0;
  settle();
  for (const [index, segment] of segments.entries()) {
    const timed = index < segments.length - SAMPLED_SEGMENTS;
    const one = trialOf(segment);
    if (one === undefined) return;
    const measured = await measure(cluster.user, one, timed ? 0 : SAMPLE_MS);
    await after();
    if (timed) seconds += measured.seconds;
    else results.peakBytes.push(measured.peakBytes ?? Number.NaN);
  }
  results.seconds.push(seconds / (segments.length - SAMPLED_SEGMENTS));
}

async function backUp({ cluster }: Workload, contender: Contender, results: Results): Promise<void> {
  const one = contender.backup?.();
  if (one === undefined) return;
  await contender.forget?.();
  add(results, await timedBackup(cluster, contender, one));
  results.storedBytes = await sizeOf(cluster, contender.backupFolders());
}

async function restore({ cluster }: Workload, contender: Contender, results: Results): Promise<void> {
  const { restore: into } = contender;
  if (into === undefined) return;
  const look = async (target: string): Promise<void> => {
    await cluster.runOk(['test', '-s', join(target, 'global', 'pg_control')]);
  };
  add(results, await timedRestore(cluster, into, look));
}

/** A data directory in recovery, as far as a restore_command looks at it. */
async function makeScratch({ cluster }: Workload): Promise<string> {
  const scratch = await cluster.place.folder('scratch');
  const script = 'mkdir "$2/pg_wal" "$2/global" && cp "$1/PG_VERSION" "$2/" && cp "$1/global/pg_control" "$2/global/"';
  await cluster.runOk(['sh', '-c', `${script} && touch "$2/recovery.signal"`, 'sh', cluster.dataDir, scratch]);
  return scratch;
}

function add(results: Results, { seconds, peakBytes }: Measurement): void {
  results.seconds.push(seconds);
  results.peakBytes.push(peakBytes ?? Number.NaN);
}

function resultsOf(table: Table, task: Task, name: string): Results {
  const ofTask = table.get(task) ?? new Map<string, Results>();
  const results = ofTask.get(name) ?? { seconds: [], peakBytes: [], storedBytes: undefined };
  ofTask.set(name, results);
  table.set(task, ofTask);
  return results;
}
