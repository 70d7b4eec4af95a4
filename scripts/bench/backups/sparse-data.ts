import { join } from 'node:path';
import type { DataSet } from './data-set.ts';

const ROWS = 50_000;

/** One relation of so many GB that is nearly all holes: pages that a server takes as new. */
export function sparseData({ gigabytes, major }: { gigabytes: number; major: number }): DataSet {
  return {
    name: `sparse-${gigabytes}-on-${major}`,
    title: `a relation of ${gigabytes} GB`,
    major,
    fill: async (cluster) => {
      await cluster.query(
        `create table holes as select id, md5(id::text) as text from generate_series(1, ${ROWS}) as id`,
      );
      const path = join(cluster.dataDir, await cluster.value<string>(`select pg_relation_filepath('holes')`));
      await cluster.stop();
      const segments = Array.from({ length: gigabytes }, (_, index) => (index === 0 ? path : `${path}.${index}`));
      await cluster.runOk(['truncate', '--size=1G', ...segments]);
    },
    proof: `select concat_ws(' ', count(*), sum(id), pg_relation_size('holes')) from holes where ctid < '(10000,0)'`,
  };
}
