import { join } from 'node:path';
import { findPostgres } from '../../find-postgres.ts';
import type { Settings } from '../../../test/support/server-settings.ts';
import { pgbench } from '../workload.ts';
import type { DataSet } from './data-set.ts';

const FILL_MS = 600_000;

export interface PgbenchData {
  scale: number;
  major: number;
  settings?: Settings;
  /** Percent of a page that is filled; with less than 100 a changed row stays in its page. */
  fillFactor?: number;
}

/** pgbench's tables, which compress well. Its own program of version 15 fills all servers. */
export function pgbenchData({ scale, major, settings = {}, fillFactor = 100 }: PgbenchData): DataSet {
  return {
    name: `pgbench-${scale}-${fillFactor}-on-${major}`,
    title: `pgbench at scale ${scale}`,
    major,
    settings,
    fill: async (cluster) => {
      const { bin } = await findPostgres(15);
      const words = pgbench(cluster, '-i', '-q', '-s', String(scale), '-F', String(fillFactor)).slice(1);
      await cluster.runOk([join(bin, 'pgbench'), ...words], { timeoutMs: FILL_MS });
    },
    proof: `select concat_ws(' ', count(*), sum(aid), sum(abalance)) from pgbench_accounts`,
  };
}
