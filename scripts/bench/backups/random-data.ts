import type { Cluster } from '../../../test/support/cluster.ts';
import type { DataSet } from './data-set.ts';

/** As much as pgbench's unit of scale has, with the index: 15 MB. */
const ROWS_PER_SCALE = 82_000;

/** As many as there are cores to fill them. */
const TABLES = [1, 2];

/** Rows of identifiers, digests and texts of random bytes, half of whose bits are news to any codec. */
export function randomData({ scale, major }: { scale: number; major: number }): DataSet {
  const rows = Math.round((scale * ROWS_PER_SCALE) / TABLES.length);
  const sums = TABLES.map((table) => `(select concat_ws(' ', count(*), sum(hashtext(note))) from random_${table})`);
  return {
    name: `random-${scale}-on-${major}`,
    title: 'random rows',
    major,
    fill: async (cluster) => void (await Promise.all(TABLES.map(async (table) => await fill(cluster, table, rows)))),
    proof: `select concat_ws(' ', ${sums.join(', ')})`,
  };
}

async function fill(cluster: Cluster, table: number, rows: number): Promise<void> {
  await cluster.query(`
    create table random_${table} as
      select id, gen_random_uuid() as uuid, timestamptz '2026-01-01' + id * interval '1 second' as made, id % 7 as kind,
        md5(random()::text) as digest,
        encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64') as note
      from generate_series(1, ${rows}) as id;
    alter table random_${table} add primary key (id)`);
  await cluster.query(`vacuum analyze random_${table}`);
}
