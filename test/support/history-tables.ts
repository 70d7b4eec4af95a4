/** What random histories do to the files of a table. */
import { madeRows, type TableOperation } from './history-rows.ts';
import type { HistoryWorld } from './history-world.ts';

const MOST_TABLES = 9;

/** Access methods, and what of a table each can index. */
const INDEXES = [
  'btree (i)',
  'btree (i)',
  'btree (md5(v), i)',
  'hash (i)',
  'gin ((array[i % 100, i]))',
  'gist (point(i, i % 7))',
  'spgist (point(i, i % 7))',
  'brin (i)',
];

export async function createTable(world: HistoryWorld, database: string): Promise<void> {
  const tables = await world.tables(database);
  if (tables.length >= MOST_TABLES) return await dropTable(world, database, world.random.pick(tables).name);
  const name = `t${world.next()}`;
  const kind = world.random.oneIn(5) ? 'unlogged ' : '';
  const place = await anyTablespace(world);
  // Under wal_level = replica a table that is filled in the transaction that makes it is in the WAL like any other.
  await world.do(`create ${kind}table ${name} tablespace ${place} as ${madeRows(world)}`, database);
  if (!world.random.oneIn(3)) await createIndex(world, database, name);
}

export const FILE_OPERATIONS: readonly TableOperation[] = [
  async (world, database, { name }) => {
    const how = world.random.pick(['', '', '(freeze)', '(full)', '(full, freeze)', '(disable_page_skipping)']);
    await world.do(`vacuum ${how} ${name}`, database);
  },
  async (world, database, { name }) => await dropTable(world, database, name),
  async (world, database, { name }) => {
    const apart = world.random.oneIn(2) ? ['', ''] : ['begin; ', '; commit'];
    const sql = `create table ${name} (i int, v text); insert into ${name} ${madeRows(world)}`;
    await world.do(`${apart[0]}drop table ${name} cascade; ${sql}${apart[1]}`, database);
    await createIndex(world, database, name);
  },
  async (world, database, { name, persistence }) =>
    await world.do(`alter table ${name} set ${persistence === 'p' ? 'unlogged' : 'logged'}`, database),
  async (world, database, { name }) =>
    await world.do(`alter table ${name} set tablespace ${await anyTablespace(world)}`, database),
  async (world, database) => {
    const indexes = await world.indexes(database);
    if (indexes.length === 0) return;
    const { name, of } = world.random.pick(indexes);
    const way = world.random.pick(['move', 'cluster', 'reindex', 'drop']);
    if (way === 'move') await world.do(`alter index ${name} set tablespace ${await anyTablespace(world)}`, database);
    if (way === 'cluster') await world.do(`cluster ${of} using ${name}`, database);
    if (way === 'reindex') await world.do(`reindex index concurrently ${name}`, database);
    if (way === 'drop') await world.do(`drop index ${name}`, database);
  },
  async (world, database, { name }) => await world.do(`reindex table ${name}`, database),
  async (world, database, { name }) => await createIndex(world, database, name),
  async (world, database, { name }) => {
    const type = world.random.pick(['int', 'bigint']);
    await world.do(`alter table ${name} alter i type ${type} using i::${type}`, database);
  },
  async (world, database, { name }) =>
    await world.do(
      `alter table ${name} add column w${world.next()} int default ${world.random.pick(['7', '(random() * 9)::int'])}`,
      database,
    ),
  async (world, database, { name }) => {
    const column = `select format('alter table %s drop column %I', attrelid::regclass, attname) from pg_attribute
      where attrelid = '${name}'::regclass and attnum > 2 and not attisdropped order by attnum limit 1`;
    await world.do(`do $$ begin execute coalesce((${column}), 'select 1'); end $$`, database);
  },
  // Only of a logged table: of an unlogged one it would ask for WAL that is not there.
  async (world, database, { name, persistence }) => {
    const sql = `create extension if not exists pg_visibility; select pg_truncate_visibility_map('${name}')`;
    if (persistence === 'p') await world.do(sql, database);
  },
];

export async function anyTablespace(world: HistoryWorld): Promise<string> {
  return world.random.pick(['pg_default', ...(await world.tablespaces())]);
}

async function createIndex(world: HistoryWorld, database: string, table: string): Promise<void> {
  const how = world.random.oneIn(4) ? 'concurrently ' : '';
  const place = world.random.oneIn(4) ? ` tablespace ${await anyTablespace(world)}` : '';
  await world.do(
    `create index ${how}x${world.next()} on ${table} using ${world.random.pick(INDEXES)}${place}`,
    database,
  );
}

async function dropTable(world: HistoryWorld, database: string, name: string): Promise<void> {
  await world.do(`drop table ${name} cascade`, database);
}
