/** What happens to the server itself in a random history. */
import { join } from 'node:path';
import { madeRows } from './history-rows.ts';
import type { HistoryWorld } from './history-world.ts';

export type HistoryEvent = 'crash' | 'restart' | 'promotion' | 'checksums';

export async function happen(
  world: HistoryWorld,
  event: HistoryEvent,
  checksums: readonly string[] | undefined,
): Promise<void> {
  world.tell(`---- ${event}`);
  if (event === 'crash') return await crash(world);
  await world.cluster.stop(world.random.pick(['fast', 'immediate']));
  await world.letGo();
  if (event === 'promotion') await promote(world);
  else await world.cluster.start();
  if (event === 'checksums' && checksums !== undefined) await switchChecksums(world, checksums);
}

/** Everything dies, in the middle of a transaction perhaps: its files stay behind. */
async function crash(world: HistoryWorld): Promise<void> {
  const { cluster, random } = world;
  if (random.oneIn(2)) {
    const [table] = (await world.tables('postgres')).filter(({ persistence }) => persistence === 'p');
    // Its file is cut off and grows again, by pages whose WAL the crash may take along: they stay, and are of zeros.
    if (table !== undefined) {
      await world.do(`delete from ${table.name} where ctid >= '(1,0)'`);
      await world.do(`vacuum ${table.name}`);
    }
    await world.hold(`begin; create table lost${world.next()} as ${madeRows(world)}`);
    if (table !== undefined) await world.hold(`insert into ${table.name} (i) select generate_series(1, 5000)`);
    if (random.oneIn(4)) await world.do('checkpoint');
  }
  await cluster.kill9();
  await world.letGo();
  await cluster.start();
}

/** It goes on as a new timeline: as an archive recovery that came to its end, or as a standby that was told to. */
async function promote({ cluster, random }: HistoryWorld): Promise<void> {
  const standby = random.oneIn(2);
  await cluster.runOk(['touch', join(cluster.dataDir, standby ? 'standby.signal' : 'recovery.signal')]);
  await cluster.start();
  if (standby) await cluster.promote();
  else await cluster.waitUntilPromoted();
}

/** `program`: the words that run pg_checksums. Off and on again, or one of them. */
async function switchChecksums(world: HistoryWorld, program: readonly string[]): Promise<void> {
  const { cluster, random } = world;
  const times = random.between(1, 2);
  let isOn = (await cluster.value<string>('show data_checksums')) === 'on';
  for (let time = 0; time < times; time++) {
    await cluster.stop();
    isOn = !isOn;
    await cluster.runOk([...program, isOn ? '--enable' : '--disable', '--no-sync', '-D', cluster.dataDir]);
    await cluster.start();
    world.tell(`---- checksums ${isOn ? 'on' : 'off'}`);
    await cluster.query(
      'create table if not exists hinted (i int, v text); delete from hinted; insert into hinted select i from generate_series(1, 500) i',
    );
    await cluster.query('select count(*) from hinted');
  }
}
