import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { archivedCluster, backUp, restored } from '../support/archived-cluster.ts';
import { LONG } from '../support/effort.ts';

const GIB = 1024 ** 3;
/** Of a relation's file, as PostgreSQL cuts it. */
const SEGMENTS = LONG ? 30 : 1;

test(
  `a relation of ${SEGMENTS} GB of zeros comes back without taking space for them`,
  async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await cluster.query('create table t as select 1 as i');
    const path = await cluster.value<string>("select pg_relation_filepath('t')");
    await cluster.stop();
    // The blocks behind the first are as a crash leaves them: made, and never written.
    const grow = 'for n in $(seq 0 $3); do s=.$n; truncate -s 1G "$1/$2${s%.0}"; done';
    await cluster.runOk(['sh', '-c', grow, 'sh', cluster.dataDir, path, String(SEGMENTS - 1)]);
    await cluster.start();
    await backUp(cluster, config);
    await using copy = await restored(cluster, config);
    for (let n = 0; n < SEGMENTS; n++) {
      const { size, blocks } = await stat(join(copy.dataDir, n === 0 ? path : `${path}.${n}`));
      expect(size).toBe(GIB);
      expect(blocks * 512).toBeLessThan(1024 * 1024);
    }
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await copy.value("select pg_relation_size('t')")).toBe(String(SEGMENTS * GIB));
    expect(await copy.value("select i from t where ctid = '(0,1)'")).toBe(1);
  },
  LONG ? 3_600_000 : 300_000,
);
