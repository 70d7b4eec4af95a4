import { newCase, type Measure, type Values } from '../figures.ts';
import { sizeOf } from '../size-of.ts';
import { timedBackup } from '../trials.ts';
import { takeTurn } from '../turns.ts';
import type { Bench } from './bench.ts';
import type { DataSet } from './data-set.ts';
import { entrants, takePart, type Entrant } from './entrants.ts';
import { MIB, PEAK, SECONDS, STORED, valuesOf } from './measures.ts';
import type { BackupOptions } from './options.ts';
import { pgbenchData } from './pgbench-data.ts';
import { openSubject, warmUp, type Subject } from './subject.ts';
import { fullBackup, restore } from './whole.ts';

/** The first with WAL summaries. */
const SUMMARIES_MAJOR = 17;

/** So that the changed rows find room in their pages, again and again. */
const FILL_FACTOR = 90;

const BASE = 'walhold';
const TIME_SHARE: Measure = { key: 'timeShare', title: `seconds over ${BASE}'s full` };
const BYTES_SHARE: Measure = { key: 'bytesShare', title: `stored over ${BASE}'s full` };

type WithIncremental = Entrant & Required<Pick<Entrant, 'incremental'>>;

export const INCREMENTAL_METHOD: readonly string[] = [
  `changed: one row in every hundredth page of \`pgbench_accounts\`, within its page (fillfactor ${FILL_FACTOR}), before each incremental backup; that is less than one page in a hundred of the cluster. Every round begins with new full backups, and each incremental one builds on its own full one`,
  'stored: by the incremental backup alone. The last columns of its table have time and bytes as shares of a full backup by walhold in the same round',
  'pgBackRest 2.45 stores changed files whole (its incremental backups of blocks came later), and knows no PostgreSQL after 15. pg_basebackup has incremental backups from 17 on; its restore is `tar` for both, and `pg_combinebackup`, which syncs what it writes',
];

/** Those with incremental backups that find changes by page LSNs (before 17), and by WAL summaries. */
export function incrementalData({ majors, scale }: BackupOptions): DataSet[] {
  return majors.map((major) => {
    const settings = major < SUMMARIES_MAJOR ? {} : { summarize_wal: true };
    return pgbenchData({ scale, major, settings, fillFactor: FILL_FACTOR });
  });
}

export const LARGE_METHOD: readonly string[] = [
  'as before, on a cluster four times as large: what every backup costs, however little there is to copy, is the same there',
];

export function largeData(options: BackupOptions): DataSet[] {
  return incrementalData({ ...options, scale: options.scale * 4 });
}

/** A full backup, an incremental one, and, unless they are left out, the restore of both. */
export async function incremental(
  bench: Bench,
  data: DataSet,
  { restores: withRestores = true }: { restores?: boolean } = {},
): Promise<void> {
  const { options, tell } = bench;
  await using subject = await openSubject(data, options.keep, tell);
  const contenders = (await entrants(subject.cluster, bench)).filter(hasIncremental);
  takePart(bench, contenders);
  await warmUp(subject);
  const way = data.major < SUMMARIES_MAJOR ? 'page LSNs' : 'WAL summaries';
  const on = `PostgreSQL ${data.major}, ${Math.round(subject.bytes / MIB)} MB`;
  const fulls = newCase(`The full backup below: ${on}`, BASE, [SECONDS, PEAK, STORED]);
  const links = newCase(`An incremental backup by ${way}: ${on}`, BASE, [
    SECONDS,
    PEAK,
    STORED,
    TIME_SHARE,
    BYTES_SHARE,
  ]);
  const restores = newCase(`A restore of the two: ${on}`, BASE, [SECONDS, PEAK]);
  bench.cases.push(fulls, links, ...(withRestores ? [restores] : []));
  for (let round = 0; round < options.rounds; round += 1) {
    const turn = { round, rounds: options.rounds, tell };
    const full = new Map<string, Values>();
    await takeTurn(fulls, contenders, turn, async (one) => {
      const values = await fullBackup(subject, one);
      full.set(one.name, values);
      return values;
    });
    await change(subject);
    const based = contenders.filter(({ name }) => full.has(name));
    await takeTurn(links, based, turn, async (one) => await link(subject, one, full));
    if (!withRestores) continue;
    const linked = based.filter(({ name }) => !links.missing.has(name));
    await takeTurn(restores, linked, turn, async (one) => {
      return await restore(subject, one, one.incremental.restore ?? one.restore, round === 0);
    });
  }
}

async function link(
  { cluster }: Subject,
  contender: WithIncremental,
  full: ReadonlyMap<string, Values>,
): Promise<Values> {
  const measured = await timedBackup(cluster, contender, contender.incremental.backup());
  const stored = (await sizeOf(cluster, contender.backupFolders())) / MIB;
  const storedMb = stored - (full.get(contender.name)?.['storedMb'] ?? Number.NaN);
  const base = full.get(BASE);
  return {
    ...valuesOf(measured),
    storedMb,
    timeShare: measured.seconds / (base?.['seconds'] ?? Number.NaN),
    bytesShare: storedMb / (base?.['storedMb'] ?? Number.NaN),
  };
}

/** pgbench fills pages in the order of its keys, as many rows in each. */
async function change({ cluster }: Subject): Promise<void> {
  await cluster.query(`
    update pgbench_accounts set abalance = abalance + 1
    where aid in (
      select 1 + page * (select count(*) from pgbench_accounts where ctid < '(1,0)')
      from generate_series(0, pg_relation_size('pgbench_accounts') / 8192 - 1, 100) as page)`);
  await cluster.query('checkpoint');
}

function hasIncremental(one: Entrant): one is WithIncremental {
  return one.incremental !== undefined;
}
