import type { Contender, Task } from './contender.ts';
import { machine } from './machine.ts';
import { list, table } from './markdown.ts';
import type { BenchOptions } from './options.ts';
import type { Results, Table } from './rounds.ts';
import { spreadOf } from './statistics.ts';
import type { Workload } from './workload.ts';

const MIB = 1024 ** 2;

const TITLES: Readonly<Record<Task, string>> = {
  push: 'One push of a 16 MB segment',
  fetch: 'One fetch of a 16 MB segment',
  backup: 'A full backup',
  restore: 'A restore of that backup',
};

/** The section of the single commands. */
export function report(
  workload: Workload,
  contenders: readonly Contender[],
  results: Table,
  { rounds, scale, segments, note }: BenchOptions,
): string {
  const parts = [
    '## Single commands',
    `${rounds} rounds.`,
    list(facts(workload, contenders, scale)),
    ...(note === '' ? [] : [`Note: ${note}.`]),
    list(method(segments)),
    ...[...results].map(([task, ofTask]) => section(TITLES[task], ofTask, contenders)),
  ];
  return `${parts.join('\n\n')}\n`;
}

function facts({ cluster, dataBytes }: Workload, contenders: readonly Contender[], scale: number): string[] {
  return [
    `machine: ${machine()}`,
    `cluster: PostgreSQL ${cluster.postgres.major} with page checksums, pgbench at scale ${scale}, ${mib(dataBytes)} MB without \`pg_wal\`, running and idle`,
    ...contenders.map(({ name, version, setup }) => `${name} ${version}: ${setup}`),
  ];
}

function method(segments: number): string[] {
  return [
    'warm cache: the data were read once before the first round, and nothing is dropped from the cache; everything lies on one disk, and `sync` runs before each measurement',
    'seconds: from the start of the command to its end. A push and a fetch are single commands, as the server calls them; ' +
      `each round counts the mean of ${segments} different segments full of pgbench's transactions`,
    'peak memory: the proportional set sizes of the command and all processes below it, added up, ten times a second (push and fetch: a hundred times, ' +
      'on a further segment whose time does not count). What the server uses in addition (for pg_basebackup: the process that reads and sends) is not in it',
    'a backup lasts until all WAL that it needs is archived; the tool archives meanwhile by its own command, `cp` and pg_basebackup not at all',
    'ratio: the median over that of walhold; above 1 is slower than walhold',
  ];
}

function section(title: string, results: ReadonlyMap<string, Results>, contenders: readonly Contender[]): string {
  const stored = [...results.values()].some(({ storedBytes }) => storedBytes !== undefined);
  const head = ['', 'seconds', 'min', 'max', 'ratio', 'peak MB', ...(stored ? ['stored MB'] : [])];
  const ours = results.get(contenders[0]?.name ?? '');
  const base = ours === undefined ? Number.NaN : spreadOf(ours.seconds).median;
  const rows = contenders.flatMap(({ name }) => {
    const found = results.get(name);
    return found === undefined ? [] : [row(name, found, base, stored)];
  });
  return [`### ${title}`, '', table(head, rows)].join('\n');
}

function row(name: string, { seconds, peakBytes, storedBytes }: Results, base: number, stored: boolean): string[] {
  const { median, min, max } = spreadOf(seconds);
  const peak = spreadOf(peakBytes).max;
  const cells = [name, secondsText(median), secondsText(min), secondsText(max), (median / base).toFixed(2), mib(peak)];
  if (stored) cells.push(storedBytes === undefined ? '' : mib(storedBytes));
  return cells;
}

function secondsText(value: number): string {
  return value.toFixed(value < 1 ? 3 : 2);
}

function mib(bytes: number): string {
  return String(Math.round(bytes / MIB));
}
