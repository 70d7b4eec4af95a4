import { archiveEverything, switchWal } from './archiving.ts';
import { archivedCluster, backUp, walholdOk, type Archived } from './archived-cluster.ts';
import { commitTimes, startLoad, type CommittedRow, type Load, type LoadReport } from './load.ts';
import { lsnOf, upToLsn, type Expected } from './recovered-rows.ts';
import { segmentEnd, filedSegments } from './repository-files.ts';
import { waitFor } from './wait-for.ts';

/** A moment that can be recovered to: the flags of `walhold restore`, and which rows must be there then. */
export interface Moment {
  flags: string[];
  expected: Expected;
}

/** A cluster that archived and was backed up under load and then lost its power, and what is known of it. */
export interface Crashed extends Archived {
  readonly segmentMb: number;
  readonly backup: { id: string; startLsn: bigint; stopLsn: bigint };
  readonly rows: LoadReport;
  readonly moments: Readonly<Record<'time' | 'lsn' | 'xid' | 'name' | 'immediate' | 'end', Moment>>;
}

const LOAD = { clients: 3, payloadBytes: 1000, pauseMs: 4 };

/** Rows between one moment and the next, so that one taken for another is noticed. */
const ROWS_BETWEEN = 40;

export async function crashedCluster(major: number, segmentMb: number): Promise<Crashed> {
  const archived = await archivedCluster({ major, segmentMb });
  const { cluster, repository, config } = archived;
  try {
    await cluster.start();
    await using load = await startLoad(cluster, LOAD);
    await moreRows(load);
    await archiveEverything(cluster);
    const id = await backUp(cluster, config);
    await moreRows(load);
    const time = await timeNow(load, () => cluster.value<string>('select clock_timestamp()::text'));
    await moreRows(load);
    const lsn = await cluster.value<string>('select pg_current_wal_insert_lsn()::text');
    await switchWal(cluster);
    await moreRows(load);
    const name = await cluster.value<string>(`select pg_create_restore_point('a name')::text`);
    await moreRows(load);
    await archiveEverything(cluster);
    const commits = new Map((await commitTimes(cluster)).map((row) => [row.id, row.micros]));
    const timeMicros = await microsOf(archived, time.text);
    await moreRows(load);
    await cluster.kill9();
    const rows = await load.stop();

    const backup = await backupRecord(archived, id);
    const xid = rowForXid(rows.committed, lsnOf(name), time.acknowledged);
    const end = segmentEnd((await filedSegments(repository)).at(-1) ?? '', segmentMb);
    const moments = {
      time: {
        flags: ['--target-time', time.text],
        expected: {
          present: (row: CommittedRow) => time.acknowledged.has(row.id),
          absent: (row: CommittedRow) => (commits.get(row.id) ?? timeMicros + 1n) > timeMicros,
        },
      },
      lsn: { flags: ['--target-lsn', lsn], expected: upToLsn(lsnOf(lsn)) },
      xid: { flags: ['--target-xid', String(xid.xid)], expected: upToXid(xid) },
      name: { flags: ['--target-name', 'a name'], expected: upToLsn(lsnOf(name)) },
      immediate: { flags: ['--target-immediate'], expected: between(backup.startLsn, backup.stopLsn) },
      end: { flags: [], expected: upToLsn(end) },
    };
    return { ...archived, segmentMb, backup, rows, moments };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function moreRows(load: Load): Promise<void> {
  const before = load.count;
  await waitFor(() => load.count >= before + ROWS_BETWEEN, { what: 'more rows', deadlineMs: 60_000, everyMs: 10 });
}

/** The server's clock, and the rows that were acknowledged before it was asked. */
async function timeNow(load: Load, clock: () => Promise<string>): Promise<{ text: string; acknowledged: Set<number> }> {
  const acknowledged = new Set(load.acknowledged().map(({ id }) => id));
  return { text: await clock(), acknowledged };
}

async function microsOf({ cluster }: Archived, time: string): Promise<bigint> {
  const sql = `select (extract(epoch from $1::timestamptz) * 1000000)::numeric(20)::text`;
  return BigInt(await cluster.value<string>(sql, [time]));
}

async function backupRecord({ cluster, config }: Archived, id: string): Promise<Crashed['backup']> {
  const { stdout } = await walholdOk(cluster, config, ['list', '--json']);
  const { backups } = JSON.parse(stdout) as { backups: { id: string; startLsn: string; stopLsn: string }[] };
  const [found, ...others] = backups;
  if (found?.id !== id || others.length > 0) throw new Error(`list does not show backup ${id} alone: ${stdout}`);
  return { id, startLsn: lsnOf(found.startLsn), stopLsn: lsnOf(found.stopLsn) };
}

/** A transaction in the middle of those before the name and after the time. */
function rowForXid(rows: readonly CommittedRow[], before: bigint, notIn: ReadonlySet<number>): CommittedRow {
  const possible = rows.filter(
    ({ id, flushedLsn }) => !notIn.has(id) && flushedLsn !== undefined && lsnOf(flushedLsn) < before,
  );
  const row = possible[Math.floor(possible.length / 2)];
  if (row === undefined) throw new Error('no row was committed between the time and the name');
  return row;
}

function upToXid(target: CommittedRow): Expected {
  const { afterLsn, flushedLsn = '' } = target;
  return {
    present: (row) => row === target || (row.flushedLsn !== undefined && lsnOf(row.flushedLsn) <= lsnOf(afterLsn)),
    absent: (row) => row !== target && lsnOf(row.afterLsn) >= lsnOf(flushedLsn),
  };
}

function between(start: bigint, stop: bigint): Expected {
  return { present: upToLsn(start).present, absent: upToLsn(stop).absent };
}
