import type { Cluster } from '../../../test/support/cluster.ts';
import type { Settings } from '../../../test/support/server-settings.ts';

/** What a cluster is filled with. */
export interface DataSet {
  /** With all that decides its content, since kept clusters go by it: `pgbench-130`. */
  name: string;
  /** For a reader. */
  title: string;
  major: number;
  /** Of the server, in addition to those of all. */
  settings?: Settings;
  /** Fills a running server that neither syncs nor archives; it may be stopped afterwards. */
  fill(cluster: Cluster): Promise<void>;
  /** A query for one text that only the same content gives. */
  proof: string;
}
