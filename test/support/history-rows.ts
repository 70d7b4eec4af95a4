/** What random histories do to the rows of a table. */
import type { HistoryTable, HistoryWorld } from './history-world.ts';

/** Of a table that has a column `i`, a number, and a column `v`, a text. */
export type TableOperation = (world: HistoryWorld, database: string, table: HistoryTable) => Promise<void>;

/** Rows `i, v` as a query. */
export function madeRows({ random }: HistoryWorld): string {
  const first = random.below(5000);
  const last = first + random.pick([3, 40, 400, 2500]);
  const text = random.pick([`md5(i::text)`, `md5(i::text)`, `'x'`, `repeat(md5(i::text), 3)`]);
  return `select i, ${text} as v from generate_series(${first}, ${last}) i`;
}

export const ROW_OPERATIONS: readonly TableOperation[] = [
  async (world, database, { name }) => await world.do(`insert into ${name} ${madeRows(world)}`, database),
  async (world, database, { name }) => {
    // Does not compress, and so is stored beside the table.
    const text = `(select string_agg(md5(i::text || k::text || '${world.next()}'), '') from generate_series(1, 200) k)`;
    await world.do(`insert into ${name} select i, ${text} from generate_series(1, 8) i`, database);
  },
  async (world, database, { name }) => {
    const set = world.random.pick([`v = md5(v)`, `v = left(v, 3)`, `i = i + 1`]);
    await world.do(`update ${name} set ${set} where ${some(world)}`, database);
  },
  async (world, database, { name }) => await world.do(`delete from ${name} where ${some(world)}`, database),
  async (world, database, { name }) => {
    // The end of the file, which a vacuum cuts off.
    await world.do(`delete from ${name} where ctid >= '(${world.random.below(20)},0)'`, database);
    await world.do(`vacuum ${name}`, database);
  },
  cutAndGrown,
  cutAndGrown,
  async (world, database, { name }) => {
    const more = world.random.oneIn(2) ? `; insert into ${name} ${madeRows(world)}` : '';
    await world.do(`begin; truncate ${name}${more}; commit`, database);
  },
  async (world, database, { name }) => {
    const rows = world.random.pick([10, 3000]);
    const copy = `copy ${name} (i, v) from program 'seq -f "%.0f,frozen" 1 ${rows}' with (format csv, freeze)`;
    await world.do(`begin; truncate ${name}; ${copy}; commit`, database);
  },
  async (world, database, { name }) => {
    await world.do(`begin; insert into ${name} ${madeRows(world)}; rollback`, database);
  },
  async (world, database, { name }) => {
    const inner = `begin insert into ${name} ${madeRows(world)}; perform 1 / (k % 2); exception when division_by_zero then null; end;`;
    await world.do(`do $$ begin for k in 1..3 loop ${inner} end loop; end $$`, database);
  },
  lockedByMany,
  prepared,
  // Leaves hints, in tables and in indexes.
  async (world, database, { name }) => {
    await world.do(`select count(*), sum(i), max(v) from ${name}`, database);
    await world.do(
      `set enable_seqscan = off; select count(i) from ${name} where i > ${world.random.below(3000)}`,
      database,
    );
  },
];

/**
 * A vacuum cuts the file off, and COPY adds more blocks at once than it fills (RelationAddBlocks, heap/hio.c of 16): those are zeros of which
 * no WAL tells, and what was there before must not come back.
 */
async function cutAndGrown(world: HistoryWorld, database: string, { name }: HistoryTable): Promise<void> {
  await world.do(`delete from ${name} where ctid >= '(${world.random.below(4)},0)'`, database);
  await world.do(`vacuum ${name}`, database);
  // It buffers 64 KB, and adds twice as much as before when that is full: a few rows of the last buffer get many blocks.
  const rows = world.random.pick([140, 140, 280]);
  const program = `seq -f "%.0f,${'x'.repeat(480)}" 1 ${rows}`;
  await world.do(`copy ${name} (i, v) from program '${program}' with (format csv)`, database);
}

/** A multixact, in the rows that two transactions have locked at once. */
async function lockedByMany(world: HistoryWorld, database: string, { name }: HistoryTable): Promise<void> {
  const { cluster, random } = world;
  const clients = [await cluster.connect(database), await cluster.connect(database)];
  const every = random.between(2, 9);
  try {
    for (const client of clients) {
      await client.query(`begin; select 1 from ${name} where i % ${every} = 0 limit 200 for key share skip locked`);
    }
    await clients[1]?.query(`update ${name} set v = v || 'm' where i % ${every * 2} = 0`);
    for (const client of clients) await client.query(random.oneIn(3) ? 'rollback' : 'commit');
    world.tell(`${database}: multixacts in ${name}`);
  } catch (error) {
    // Somebody else holds them.
    world.tell(`${database}: no multixacts in ${name}: ${String(error)}`);
  } finally {
    for (const client of clients) await client.end();
  }
}

/** One prepared transaction at a time; it goes through crashes and promotions. */
async function prepared(world: HistoryWorld, database: string, { name }: HistoryTable): Promise<void> {
  const [open] = await world.cluster.query<{ gid: string; database: string }>(
    'select gid, database from pg_prepared_xacts',
  );
  const end = world.random.oneIn(3) ? 'rollback' : 'commit';
  if (open === undefined)
    await world.do(`begin; insert into ${name} ${madeRows(world)}; prepare transaction 'p'`, database);
  else await world.do(`${end} prepared '${open.gid}'`, open.database);
}

function some({ random }: HistoryWorld): string {
  const first = random.below(3000);
  return random.pick([`i % ${random.between(2, 300)} = 0`, `i between ${first} and ${first + random.below(900)}`]);
}
