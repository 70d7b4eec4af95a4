import type { Cluster } from '../../../test/support/cluster.ts';
import type { DataSet } from './data-set.ts';

const CONNECTIONS = 2;

/** A schema for each tenant: small tables, each with an index. */
export function manyData(options: { schemas: number; tables: number; major: number }): DataSet {
  const { schemas, tables, major } = options;
  const last = `tenant_${schemas}.table_${tables}`;
  return {
    name: `many-${schemas}-${tables}-on-${major}`,
    title: `${schemas} schemas of ${tables} tables`,
    major,
    fill: async (cluster) => {
      const numbers = Array.from({ length: schemas }, (_, index) => index + 1);
      const shares = Array.from({ length: CONNECTIONS }, (_, share) =>
        numbers.filter((n) => n % CONNECTIONS === share),
      );
      await Promise.all(shares.map(async (share) => await fill(cluster, share, tables)));
    },
    proof: `select concat_ws(' ', (select count(*) from pg_class), (select sum(id) from ${last}), pg_relation_size('${last}'))`,
  };
}

async function fill(cluster: Cluster, schemas: readonly number[], tables: number): Promise<void> {
  const client = await cluster.connect();
  for (const schema of schemas) {
    await client.query(`
      do $$ begin
        create schema tenant_${schema};
        for n in 1..${tables} loop
          execute format('create table tenant_${schema}.table_%s (id int primary key, value int)', n);
          execute format('insert into tenant_${schema}.table_%s values (%s, %s)', n, n, ${schema});
        end loop;
      end $$`);
  }
  await client.end();
}
