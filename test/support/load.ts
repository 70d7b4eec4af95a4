import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Cluster } from './cluster.ts';

export interface LoadOptions {
  clients?: number;
  /** Size of each row's payload; random-looking, so that it does not compress away. */
  payloadBytes?: number;
  /** A pause of each client after every row. */
  pauseMs?: number;
  /** The load ends by itself after this long. */
  limitMs?: number;
  /** Made if it does not exist. */
  table?: string;
}

/** A row whose commit the server acknowledged. */
export interface CommittedRow {
  id: number;
  xid: bigint;
  /** The commit record lies after this LSN … */
  afterLsn: string;
  /** … and had been flushed by this one; `undefined` if the connection was lost before it could be asked. */
  flushedLsn: string | undefined;
  /** By this process's clock; the server's own commit time is in {@link commitTimes}. */
  acknowledgedAt: Date;
}

export interface LoadReport {
  /** In the order of the acknowledgements. */
  committed: CommittedRow[];
  /** Sent, never acknowledged, maybe committed. */
  uncertain: number[];
}

export interface Load extends AsyncDisposable {
  /** How many rows were acknowledged so far. */
  readonly count: number;
  /** The rows that were acknowledged so far, in order. */
  acknowledged(): CommittedRow[];
  /** Ends all clients after their current row. */
  stop(): Promise<LoadReport>;
}

/**
 * Several clients that insert rows, one transaction each, with ever growing ids, and remember which the server acknowledged.
 * A client that loses its connection counts its row as uncertain and connects again.
 */
export async function startLoad(cluster: Cluster, options: LoadOptions = {}): Promise<Load> {
  const { clients = 3, payloadBytes = 400, pauseMs = 0, limitMs = 120_000, table = 'load' } = options;
  await cluster.query(`create table if not exists ${table} (id bigint primary key, payload text not null)`);
  const nextId = await cluster.value<string>(`select coalesce(max(id), 0) + 1 from ${table}`);
  const run = { next: Number(nextId), over: false, committed: [] as CommittedRow[], uncertain: [] as number[] };
  const end = performance.now() + limitMs;

  const work = async (): Promise<void> => {
    while (!run.over && performance.now() < end) {
      const client = await cluster.connect().catch(() => undefined);
      if (client === undefined) {
        await delay(100);
        continue;
      }
      try {
        while (!run.over && performance.now() < end) {
          const id = run.next++;
          run.uncertain.push(id);
          const row = await insertRow(client, table, id, payloadBytes);
          run.uncertain.splice(run.uncertain.indexOf(id), 1);
          run.committed.push(row);
          row.flushedLsn = await flushedLsn(client);
          if (pauseMs > 0) await delay(pauseMs);
        }
      } catch (error) {
        if (!isLostConnection(error)) throw error;
      } finally {
        await client.end().catch(() => {});
      }
    }
  };

  const workers = Promise.all(Array.from({ length: clients }, work));
  workers.catch(() => {}); // reported by stop
  const stop = async (): Promise<LoadReport> => {
    run.over = true;
    await workers;
    return { committed: run.committed, uncertain: run.uncertain };
  };
  return {
    get count() {
      return run.committed.length;
    },
    acknowledged: () => [...run.committed],
    stop,
    [Symbol.asyncDispose]: async () => void (await stop().catch(() => {})),
  };
}

/** SQL: what the row of that id was given, so many bytes. */
export function payloadSql(id: string, bytes: string): string {
  return `left((select string_agg(md5(${id} || chr(32) || i), '') from generate_series(0, ${bytes} / 32) i), ${bytes})`;
}

/**
 * The server's own commit times of the rows of a table by id, in order of the commits: what recovery to a time compares
 * with. Microseconds since 1970, exact. Needs `track_commit_timestamp`, which {@link TEST_SETTINGS} turns on.
 */
export async function commitTimes(cluster: Cluster, table = 'load'): Promise<{ id: number; micros: bigint }[]> {
  const rows = await cluster.query<{ id: string; micros: string }>(
    `select id, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::numeric(20)::text as micros
       from ${table} order by 2, 1`,
  );
  return rows.map(({ id, micros }) => ({ id: Number(id), micros: BigInt(micros) }));
}

async function insertRow(client: Client, table: string, id: number, payloadBytes: number): Promise<CommittedRow> {
  const result = await client.query<{ xid: string; lsn: string }>(
    `insert into ${table} values ($1::bigint, ${payloadSql('$1::bigint', '$2::int')})
     returning xmin::text as xid, pg_current_wal_insert_lsn()::text as lsn`,
    [id, payloadBytes],
  );
  const [row] = result.rows;
  if (row === undefined) throw new Error(`the insert of row ${id} returned nothing`);
  const { xid, lsn } = row;
  return { id, xid: BigInt(xid), afterLsn: lsn, flushedLsn: undefined, acknowledgedAt: new Date() };
}

async function flushedLsn(client: Client): Promise<string | undefined> {
  const result = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  return result.rows[0]?.lsn;
}

/** Connection lost, or the server is stopping, crashing or recovering. */
function isLostConnection(error: unknown): boolean {
  const { code, message } = error as { code?: string; message: string };
  return (
    /^(57P0[1-4]|08\w{3}|ECONN\w+|EPIPE|ENOENT)$/.test(code ?? '') ||
    /Connection terminated|not queryable/.test(message)
  );
}
