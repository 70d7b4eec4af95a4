// The benchmarks of base backups and their restores, which `scripts/bench/run backups` starts.
import { endBySignals } from '../ending.ts';
import { machine } from '../machine.ts';
import { writeResults } from '../write-results.ts';
import type { Bench } from './bench.ts';
import type { DataSet } from './data-set.ts';
import { incremental, INCREMENTAL_METHOD, incrementalData, LARGE_METHOD, largeData } from './incremental.ts';
import { manyData } from './many-data.ts';
import { backupOptions, type BackupOptions, type BackupSection } from './options.ts';
import { pgbenchData } from './pgbench-data.ts';
import { randomData } from './random-data.ts';
import { sparseData } from './sparse-data.ts';
import { openSubject } from './subject.ts';
import { wholeBackups } from './whole.ts';

const MEASURED_MAJOR = 15;

const FULL_METHOD: readonly string[] = [
  "pgbench's tables compress very well. The random rows are about as large: identifiers, a uuid, a time, 32 random hexadecimal digits and 64 of base64 in each, so that half of all bits are news to any codec",
];

const MANY_METHOD: readonly string[] = [
  'a schema for each tenant; each table has one row and an index, which makes two files',
];

const SPARSE_METHOD: readonly string[] = [
  'the relation is a table with a few MB of rows, whose files were then made longer by holes: pages that the server takes as new. "On disk" is what the restored directory takes there',
];

interface Named {
  title: string;
  method: readonly string[];
  data: (options: BackupOptions) => readonly DataSet[];
  run: (bench: Bench, data: DataSet) => Promise<void>;
}

const BENCHMARKS: Readonly<Record<BackupSection, Named>> = {
  full: { title: 'Full backups', method: FULL_METHOD, data: fullData, run: wholeBackups },
  incremental: {
    title: 'Incremental backups after one page in a hundred has changed',
    method: INCREMENTAL_METHOD,
    data: incrementalData,
    run: incremental,
  },
  large: {
    title: 'Incremental backups of a larger cluster',
    method: LARGE_METHOD,
    data: largeData,
    run: async (bench, data) => await incremental(bench, data, { restores: false }),
  },
  many: {
    title: 'Many small relations',
    method: MANY_METHOD,
    data: ({ schemas, tables }) => [manyData({ schemas, tables, major: MEASURED_MAJOR })],
    run: wholeBackups,
  },
  sparse: {
    title: 'A relation of holes',
    method: SPARSE_METHOD,
    data: ({ sparseGb }) => [sparseData({ gigabytes: sparseGb, major: MEASURED_MAJOR })],
    run: wholeBackups,
  },
};

const COMMON_METHOD: readonly string[] = [
  'a running, idle PostgreSQL with page checksums; everything lies on one disk, the data were read once before the first round, and `sync` runs before each trial',
  'seconds: from the start of the command to its end; a backup lasts until all WAL that it needs is archived, by the tool itself (`cp` and pg_basebackup: not at all)',
  'peak memory: the proportional set sizes of the command and all processes below it, added up, ten times a second; what the server uses in addition (for pg_basebackup: the process that reads and sends) is not in it',
  'a server was started on the first restore of each contender, and asked for what it holds (cp: with `pg_wal` copied besides; pg_basebackup: with the WAL of the server that was backed up)',
  'medians of the rounds; "over" is the median over that of the contender named: above 1 is slower',
];

const tell = (line: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);

endBySignals();
const options = backupOptions(process.argv.slice(2));
for (const name of options.sections) await (options.prepare ? prepare(name) : measure(name));

async function prepare(name: BackupSection): Promise<void> {
  for (const data of BENCHMARKS[name].data(options)) {
    await using subject = await openSubject(data, options.keep, tell);
    tell(`${data.name} is there, ${Math.round(subject.bytes / 1e6)} MB`);
  }
}

async function measure(name: BackupSection): Promise<void> {
  const { title, method, data, run } = BENCHMARKS[name];
  const bench: Bench = { options, tell, cases: [], tools: new Map() };
  const started = performance.now();
  for (const each of data(options)) await run(bench, each);
  const { rounds, note } = options;
  const tools = [...bench.tools.values()];
  const all = [...method, ...COMMON_METHOD];
  await writeResults(
    { name, title, rounds, machine: machine(), note, tools, method: all, cases: bench.cases },
    options,
  );
  tell(`${name} is written: ${options.output}; ${Math.round((performance.now() - started) / 1000)} s`);
}

function fullData({ data, scale }: BackupOptions): DataSet[] {
  const size = { scale, major: MEASURED_MAJOR };
  return data.map((kind) => (kind === 'pgbench' ? pgbenchData(size) : randomData(size)));
}
