import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import type { Contender, Task } from './contender.ts';
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

/** The whole of RESULTS.md. */
export function report(
  workload: Workload,
  contenders: readonly Contender[],
  table: Table,
  { rounds, scale, segments, note }: BenchOptions,
): string {
  const parts = [
    '# What it costs, beside others',
    `Written by \`scripts/bench/run\`; do not edit. ${rounds} rounds on the same data in one run; the contenders take turns, and another one begins in each round.`,
    facts(workload, contenders, scale),
    ...(note === '' ? [] : [`Note: ${note}.`]),
    method(segments),
    ...[...table].map(([task, results]) => section(TITLES[task], results, contenders)),
  ];
  return `${parts.join('\n\n')}\n`;
}

function facts({ cluster, dataBytes }: Workload, contenders: readonly Contender[], scale: number): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const versions = contenders.map(({ name, version, setup }) => `- ${name} ${version}: ${setup}`);
  return [
    `- machine: ${cpus().length} cores (${model}), ${Math.round(totalmem() / 1024 ** 3)} GB memory, Linux ${kernel()}`,
    `- cluster: PostgreSQL ${cluster.postgres.major} with page checksums, pgbench at scale ${scale}, ${mib(dataBytes)} MB without \`pg_wal\`, running and idle`,
    ...versions,
  ].join('\n');
}

function method(segments: number): string {
  return [
    '- warm cache: the data were read once before the first round, and nothing is dropped from the cache; everything lies on one disk, and `sync` runs before each measurement',
    '- seconds: from the start of the command to its end. A push and a fetch are single commands, as the server calls them; ' +
      `each round counts the mean of ${segments} different segments full of pgbench's transactions`,
    '- peak memory: the proportional set sizes of the command and all processes below it, added up, ten times a second (push and fetch: a hundred times, ' +
      'on a further segment whose time does not count). What the server uses in addition (for pg_basebackup: the process that reads and sends) is not in it',
    '- a backup lasts until all WAL that it needs is archived; the tool archives meanwhile by its own command, `cp` and pg_basebackup not at all',
    '- ratio: the median over that of walhold; above 1 is slower than walhold',
  ].join('\n');
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
  return [`## ${title}`, '', line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows].join(
    '\n',
  );
}

function row(name: string, { seconds, peakBytes, storedBytes }: Results, base: number, stored: boolean): string {
  const { median, min, max } = spreadOf(seconds);
  const peak = spreadOf(peakBytes).max;
  const cells = [name, secondsText(median), secondsText(min), secondsText(max), (median / base).toFixed(2), mib(peak)];
  if (stored) cells.push(storedBytes === undefined ? '' : mib(storedBytes));
  return line(cells);
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function secondsText(value: number): string {
  return value.toFixed(value < 1 ? 3 : 2);
}

function mib(bytes: number): string {
  return String(Math.round(bytes / MIB));
}

function kernel(): string {
  return /^(\d+\.\d+)/.exec(readFileSync('/proc/sys/kernel/osrelease', 'utf8'))?.[1] ?? '?';
}
