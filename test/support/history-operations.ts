import { CLUSTER_OPERATIONS, OBJECT_OPERATIONS } from './history-objects.ts';
import { ROW_OPERATIONS } from './history-rows.ts';
import { createTable, FILE_OPERATIONS } from './history-tables.ts';
import type { HistoryWorld } from './history-world.ts';
import { createTablespace } from './tablespace.ts';

/** What a history begins with. `resetwal`: the words that run pg_resetwal. */
export async function beginHistory(world: HistoryWorld, resetwal: readonly string[] | undefined): Promise<void> {
  const { cluster } = world;
  for (const database of ['template1', 'postgres']) {
    await cluster.query('create extension pg_visibility; create extension amcheck', [], database);
  }
  await createTablespace(cluster, `space${world.next()}`);
  await cluster.query(`create database d${world.next()}`);
  for (let count = 0; count < 8; count++) {
    await createTable(world, world.random.pick(await world.databases()));
    await cluster.query('select count(lo_unlink(lo_create(0))) from generate_series(1, 50)');
  }
  if (resetwal !== undefined && world.random.oneIn(2)) await countAnew(world, resetwal);
}

/** The numbers of what is dropped from now on are given again, as after four thousand million of them (FirstNormalObjectId). */
async function countAnew({ cluster }: HistoryWorld, resetwal: readonly string[]): Promise<void> {
  await cluster.stop();
  await cluster.runOk([...resetwal, '-o', '16384', '-D', cluster.dataDir]);
  await cluster.start();
}

/** One operation, of any kind, in any database. */
export async function operate(world: HistoryWorld): Promise<void> {
  const { random } = world;
  const kind = random.below(20);
  if (kind < 3) return await random.pick(CLUSTER_OPERATIONS)(world);
  const database = random.pick(await world.databases());
  if (kind < 6) return await random.pick(OBJECT_OPERATIONS)(world, database);
  const tables = await world.tables(database);
  if (tables.length === 0 || kind < 8) return await createTable(world, database);
  const operations = kind < 14 ? ROW_OPERATIONS : FILE_OPERATIONS;
  await random.pick(operations)(world, database, random.pick(tables));
}
