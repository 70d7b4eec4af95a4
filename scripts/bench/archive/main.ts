// The benchmarks of archiving and recovery in PostgreSQL's way, which `scripts/bench/run archive` starts.
import { endBySignals } from '../ending.ts';
import type { Section } from '../figures.ts';
import { machine } from '../machine.ts';
import { writeResults } from '../write-results.ts';
import type { Bench, Benchmark } from './bench.ts';
import { call, CALL_METHOD } from './call.ts';
import { drain, DRAIN_METHOD } from './drain.ts';
import { entrants, NO_WAL_G } from './entrants.ts';
import { latency, LATENCY_METHOD } from './latency.ts';
import { memory, MEMORY_METHOD } from './memory.ts';
import { archiveOptions, neededMessages, neededSegments, type ArchiveOptions, type ArchiveSection } from './options.ts';
import { recovery, RECOVERY_METHOD } from './recovery.ts';
import { steady, STEADY_METHOD } from './steady.ts';
import { openStores } from './stores.ts';
import { makeWal, type WalOptions } from './wal.ts';

interface Named {
  title: string;
  method: readonly string[];
  run: Benchmark;
}

const BENCHMARKS: Readonly<Record<ArchiveSection, Named>> = {
  drain: { title: 'Archiving: a backlog', method: DRAIN_METHOD, run: drain },
  steady: { title: 'Archiving under load', method: STEADY_METHOD, run: steady },
  recovery: { title: 'Recovery', method: RECOVERY_METHOD, run: recovery },
  call: { title: 'A call with its answer ready', method: CALL_METHOD, run: call },
  latency: { title: 'A distant store', method: LATENCY_METHOD, run: latency },
  memory: { title: 'Memory', method: MEMORY_METHOD, run: memory },
};

const tell = (line: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);

endBySignals();

const options = archiveOptions(process.argv.slice(2));
const archivers = await entrants(options.only, tell);
await using stores = await openStores(options.stores, tell);
const { scale, wal: keep } = options;
const walOptions = { scale, keep, content: 'transactions', segments: neededSegments(options) } as const;
await using wal = await makeWal(walOptions, tell);
await using messages = await makeWal(messagesOptions(options), tell);
for (const name of options.sections) await measure(name, { wal, messages, archivers, stores, options, tell });

async function measure(name: ArchiveSection, bench: Bench): Promise<void> {
  const { title, method, run } = BENCHMARKS[name];
  const section: Section = {
    name,
    title,
    rounds: options.rounds,
    machine: machine(),
    note: options.note,
    tools: archivers.map(({ name: tool, version, setup }) => ({ name: tool, version, setup })),
    method: [...method, ...commonMethod(options), NO_WAL_G],
    cases: [],
  };
  const started = performance.now();
  await run(bench, section.cases);
  await writeResults(section, options);
  tell(`${name} is written: ${options.output}; ${Math.round((performance.now() - started) / 1000)} s`);
}

function messagesOptions(all: ArchiveOptions): WalOptions {
  const beside = all.wal === undefined ? undefined : `${all.wal}-messages`;
  return { scale: all.scale, keep: beside, content: 'messages', segments: neededMessages(all) };
}

function commonMethod({ scale }: ArchiveOptions): string[] {
  return [
    `one PostgreSQL 15 with page checksums, pgbench at scale ${scale}; the same segments for all, written with full_page_writes off, since pages are easy to compress and records are not; every trial has a fresh data directory and, where it stores, an empty repository. Everything lies on one disk in a warm cache, and \`sync\` runs before each trial`,
    'S3 is MinIO on the same machine and disk, which speaks TLS with all of them',
    'medians of the rounds; "over" is the median over that of the contender named',
  ];
}
