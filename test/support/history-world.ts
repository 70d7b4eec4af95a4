import { DatabaseError, type Client } from 'pg';
import type { Cluster } from './cluster.ts';
import type { SeededRandom } from './seeded-random.ts';
import { waitFor } from './wait-for.ts';

/** An ordinary table that a history made. */
export interface HistoryTable {
  name: string;
  /** `p` or `u`, as in pg_class. */
  persistence: string;
}

/** It is in use, locked or not empty, something depends on it, or it has gone while a backup was taken. */
const LEFT_UNDONE: ReadonlySet<string> = new Set([
  '55P03',
  '55006',
  '40P01',
  '3D000',
  '55000',
  '53200',
  '0A000',
  '2BP01',
]);

/** A server that random operations are done to, and what they need to know of it. All that they decide comes from the seed. */
export class HistoryWorld {
  readonly cluster: Cluster;
  readonly random: SeededRandom;
  /** What was done, for whoever looks for the cause of a failure. */
  readonly told: string[] = [];
  readonly #began = performance.now();
  /** Numbers that databases had that are gone. */
  readonly freeOids: number[] = [];
  #serial = 0;
  #holder: Client | undefined;

  constructor(cluster: Cluster, random: SeededRandom) {
    this.cluster = cluster;
    this.random = random;
  }

  /** A number that no other call gives. */
  next(): number {
    return (this.#serial += 1);
  }

  tell(what: string): void {
    this.told.push(`${((performance.now() - this.#began) / 1000).toFixed(2)} s: ${what}`);
  }

  /** Does it in a session of its own. What cannot be done because of what else goes on is left undone. */
  async do(sql: string, database = 'postgres'): Promise<void> {
    try {
      await this.cluster.query(sql, [], database);
      this.tell(`${database}: ${sql}`);
    } catch (error) {
      if (!(error instanceof DatabaseError) || !LEFT_UNDONE.has(error.code ?? '')) {
        throw new Error(`${database}: ${sql}`, { cause: error });
      }
      this.tell(`${database}: left undone (${error.message}): ${sql}`);
    }
  }

  /** A session in `postgres` that stays until the server ends: for temporary tables, and for what is never committed. */
  async hold(sql: string): Promise<void> {
    this.#holder ??= await this.cluster.connect();
    await this.#holder.query(sql);
    this.tell(`held: ${sql}`);
  }

  /** Ends it, and waits until its temporary tables have gone. */
  async letGo(): Promise<void> {
    await this.#holder?.end().catch(() => undefined);
    this.#holder = undefined;
    if (!this.cluster.isRunning) return;
    const others = `select count(*)::int as n from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`;
    await waitFor(async () => (await this.cluster.value<number>(others)) === 0, {
      what: 'all sessions to end',
      everyMs: 10,
    });
  }

  /** Those that can be connected to. */
  async databases(): Promise<string[]> {
    return await this.#names(`select datname as name from pg_database where datallowconn and datname <> 'template1'`);
  }

  async tables(database: string): Promise<HistoryTable[]> {
    return await this.cluster.query<{ name: string; persistence: string }>(
      `select relname as name, relpersistence as persistence from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
      [],
      database,
    );
  }

  /** Valid btree indexes of user tables (BTREE_AM_OID is 403). */
  async indexes(database: string): Promise<{ name: string; of: string }[]> {
    return await this.cluster.query<{ name: string; of: string }>(
      `select i.indexrelid::regclass::text as name, i.indrelid::regclass::text as of from pg_index i
        join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
        where indisvalid and c.relam = 403 and t.relnamespace = 'public'::regnamespace and t.relkind = 'r' order by 1`,
      [],
      database,
    );
  }

  /** Without the two that every server has. */
  async tablespaces(): Promise<string[]> {
    return await this.#names(`select spcname as name from pg_tablespace where spcname !~ '^pg_'`);
  }

  /** Of relations of this kind in `public`. */
  async relations(kind: string, database: string): Promise<string[]> {
    const of = `relnamespace = 'public'::regnamespace and relkind = '${kind}'`;
    return await this.#names(`select relname as name from pg_class where ${of}`, database);
  }

  async #names(sql: string, database?: string): Promise<string[]> {
    return (await this.cluster.query<{ name: string }>(`${sql} order by 1`, [], database)).map(({ name }) => name);
  }
}
