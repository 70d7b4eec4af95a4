/** What random histories do beside tables: to sequences, views, catalogs, databases and tablespaces. */
import { anyTablespace } from './history-tables.ts';
import type { HistoryWorld } from './history-world.ts';
import { createTablespace } from './tablespace.ts';

export type DatabaseOperation = (world: HistoryWorld, database: string) => Promise<void>;

const MOST_DATABASES = 4;
const MOST_TABLESPACES = 3;

export const OBJECT_OPERATIONS: readonly DatabaseOperation[] = [
  async (world, database) => {
    const sequences = await world.relations('S', database);
    const name = sequences.length < 3 ? `s${world.next()}` : world.random.pick(sequences);
    if (sequences.length < 3) await world.do(`create sequence ${name} cache ${world.random.pick([1, 20])}`, database);
    const sql = world.random.pick([
      `select nextval('${name}') from generate_series(1, ${world.random.between(1, 200)})`,
      `select setval('${name}', ${world.random.between(1, 999)})`,
      `alter sequence ${name} restart`,
      `drop sequence ${name}`,
    ]);
    await world.do(sql, database);
  },
  async (world, database) => {
    const views = await world.relations('m', database);
    const tables = (await world.tables(database)).filter(({ persistence }) => persistence === 'p');
    if (views.length < 2 && tables.length > 0) {
      const name = `m${world.next()}`;
      const query = `select i % 500 as i, max(v) as v from ${world.random.pick(tables).name} group by 1`;
      await world.do(`create materialized view ${name} as ${query}; create unique index on ${name} (i)`, database);
    } else if (views.length > 0) {
      const name = world.random.pick(views);
      const how = world.random.pick([
        'refresh materialized view',
        'refresh materialized view concurrently',
        'drop materialized view',
      ]);
      await world.do(`${how} ${name}`, database);
    }
  },
  async (world, database) => {
    const content = `decode(repeat(md5('${world.next()}'), ${world.random.between(1, 2000)}), 'hex')`;
    const sql = world.random.pick([
      `select lo_from_bytea(0, ${content})`,
      `select lo_put(oid, 100, ${content}) from (select oid from pg_largeobject_metadata order by 1 limit 1) o`,
      `select lo_unlink(oid) from (select oid from pg_largeobject_metadata order by 1 limit 1) o`,
    ]);
    await world.do(sql, database);
  },
  async (world, database) => {
    const catalog = world.random.pick([
      'pg_class',
      'pg_attribute',
      'pg_type',
      'pg_depend',
      'pg_largeobject',
      'pg_database',
    ]);
    const way = world.random.pick(['vacuum', 'vacuum full', 'reindex table', 'vacuum freeze']);
    await world.do(`${way} ${catalog}`, database);
  },
  async (world, database) => {
    // Catalogs grow and are cut off again.
    const many = `execute format('create table much.n%s (i int, v text)', k)`;
    await world.do(`create schema much; do $$ begin for k in 1..30 loop ${many}; end loop; end $$`, database);
    await world.do(`drop schema much cascade`, database);
    await world.do(`vacuum pg_class, pg_attribute, pg_depend, pg_type`, database);
  },
];

export const CLUSTER_OPERATIONS: readonly ((world: HistoryWorld) => Promise<void>)[] = [
  createDatabase,
  createDatabase,
  dropDatabase,
  async (world) => {
    const others = await otherDatabases(world);
    if (others.length === 0) return await createDatabase(world);
    await world.do(`alter database ${world.random.pick(others)} set tablespace ${await anyTablespace(world)}`);
  },
  async (world) => {
    const spaces = await world.tablespaces();
    if (spaces.length < MOST_TABLESPACES) await createTablespace(world.cluster, `space${world.next()}`);
    else await world.do(`drop tablespace ${world.random.pick(spaces)}`);
    world.tell('a tablespace');
  },
  async (world) => await world.do('checkpoint'),
  async (world) => await world.do('checkpoint'),
  async (world) => await world.do(`select pg_switch_wal()`),
  async (world) => await world.do('vacuum'),
  async (world) =>
    await world.hold(`create temporary table h${world.next()} as select i from generate_series(1, 900) i`),
];

async function createDatabase(world: HistoryWorld): Promise<void> {
  const { random, cluster } = world;
  const others = await otherDatabases(world);
  if (others.length >= MOST_DATABASES) return await dropDatabase(world);
  const options = [`template ${random.pick(['template0', 'template1', ...others])}`];
  if (random.oneIn(3)) options.push(`tablespace ${await anyTablespace(world)}`);
  if (cluster.postgres.major >= 15) {
    options.push(`strategy ${random.pick(['wal_log', 'file_copy'])}`);
    const oid = random.oneIn(2) ? world.freeOids.pop() : undefined;
    if (oid !== undefined) options.push(`oid ${oid}`);
  }
  await world.do(`create database d${world.next()} ${options.join(' ')}`);
}

async function dropDatabase(world: HistoryWorld): Promise<void> {
  const others = await otherDatabases(world);
  if (others.length === 0) return await createDatabase(world);
  const name = world.random.pick(others);
  const [row] = await world.cluster.query<{ oid: number }>('select oid from pg_database where datname = $1', [name]);
  await world.do(`drop database ${name}`);
  if (row !== undefined && !(await world.databases()).includes(name)) world.freeOids.push(row.oid);
}

async function otherDatabases(world: HistoryWorld): Promise<string[]> {
  return (await world.databases()).filter((name) => name !== 'postgres');
}
