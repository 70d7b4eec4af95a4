import type { Cluster } from './cluster.ts';

/** How many rows a table holds, and a number made from all of them that does not depend on their order. */
export interface TableFingerprint {
  rows: number;
  digest: string;
}

/**
 * All user tables of a database, by `schema.table`, as one snapshot saw them: equal for equal content. For comparing a
 * restored cluster with its original.
 */
export async function fingerprint(cluster: Cluster, database = 'postgres'): Promise<Record<string, TableFingerprint>> {
  const client = await cluster.connect(database);
  try {
    await client.query('begin isolation level repeatable read read only');
    const tables = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
    );
    const found: Record<string, TableFingerprint> = {};
    for (const { name } of tables.rows) {
      const result = await client.query<{ rows: string; digest: string }>(
        `select count(*) as rows, coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text as digest from ${name} t`,
      );
      const [row] = result.rows;
      if (row !== undefined) found[name] = { rows: Number(row.rows), digest: row.digest };
    }
    return found;
  } finally {
    await client.end();
  }
}
