import type { Cluster } from './cluster.ts';

/** Of every table, catalogs too: a number of rows and a digest that does not depend on their order, by `database schema.table`. */
export type ClusterContents = Record<string, string>;

/**
 * Everything that a recovery must bring back, in all databases: rows of tables, materialized views, sequences and catalogs, large
 * objects among them. Unlogged and temporary tables are passed over. Every page of those is looked at, so that whatever hints a reader
 * leaves are in them afterwards.
 */
export async function clusterContents(cluster: Cluster): Promise<ClusterContents> {
  const databases = await cluster.query<{ name: string }>(
    'select datname as name from pg_database where datallowconn order by 1',
  );
  const contents: ClusterContents = {};
  for (const { name } of databases) {
    for (const [table, digest] of await databaseContents(cluster, name)) contents[`${name} ${table}`] = digest;
  }
  return contents;
}

async function databaseContents(cluster: Cluster, database: string): Promise<[string, string][]> {
  const client = await cluster.connect(database);
  try {
    const { rows } = await client.query<{ name: string }>(
      `select oid::regclass::text as name from pg_class
        where relkind in ('r', 'm', 'S') and relpersistence = 'p' order by relnamespace, relname`,
    );
    const queries = rows.map(
      ({ name }) =>
        `select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) as d from (select * from ${name}) t`,
    );
    const results = (await client.query(queries.join(';'))) as unknown as { rows: { d: string }[] }[];
    return rows.map(({ name }, index) => [name, results[index]?.rows[0]?.d ?? 'none']);
  } finally {
    await client.end();
  }
}
