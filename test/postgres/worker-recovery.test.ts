import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archivedCluster, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { writeAndSwitch } from '../support/failover.ts';
import { fingerprint, type TableFingerprint } from '../support/fingerprint.ts';
import { writeConfig } from '../support/hook.ts';
import { recoverFromArchive } from '../support/recovery.ts';
import { segmentPath } from '../support/repository-files.ts';
import type { Settings } from '../support/server-settings.ts';
import { copyOf, makeStandby, waitUntilCaughtUp, waitUntilReplayed } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';
import { watchedRestore, type WatchedCall } from '../support/watched-restore.ts';
import { workersOf } from '../support/workers.ts';

const KEPT = { wal_keep_size: '256MB', max_wal_size: '4GB', checkpoint_timeout: '1h' };
const SEGMENTS = 8;

/** A primary died, its standby took over: two timelines in one repository, and a copy from before all of it. */
interface History extends AsyncDisposable {
  old: Archived;
  next: Cluster;
  seed: Cluster;
  /** A segment of the first timeline, before its end. */
  early: string;
  /** In the middle of the second timeline. */
  middle: string;
  /** The end. */
  end: string;
}

let history: History;
beforeAll(async () => void (history = await twoTimelines()), 120_000);
afterAll(async () => await history[Symbol.asyncDispose]());

async function twoTimelines(): Promise<History> {
  await using stack = new AsyncDisposableStack();
  const old = stack.use(await archivedCluster({ name: 'old', walhold: { gap_grace: '1s' }, settings: KEPT }));
  const { cluster: primary } = old;
  await primary.start();
  await primary.query('create table t as select 1 as i, $$x$$ as v');
  await archiveEverything(primary);
  const seed = stack.use(await copyOf(primary, { name: 'seed' }));
  const next = stack.use(await makeStandby(primary, { name: 'next', streaming: true }));
  await next.start();
  const names: string[] = [];
  for (let at = 0; at < SEGMENTS; at += 1) names.push(await writeAndSwitch(primary, `old ${at}`));
  await archiveEverything(primary);
  await primary.query(`insert into t values (1, 'in the segment of the fork')`);
  await waitUntilCaughtUp(next, primary);
  await primary.kill9();
  await next.promote();
  for (let at = 0; at < SEGMENTS / 2; at += 1) await writeAndSwitch(next, `new ${at}`);
  const middle = await next.value<string>('select pg_current_wal_lsn()::text');
  for (let at = 0; at < SEGMENTS / 2; at += 1) await writeAndSwitch(next, `last ${at}`);
  const end = await next.value<string>('select pg_current_wal_lsn()::text');
  await archiveEverything(next);
  const all = stack.move();
  const early = names[SEGMENTS - 2] ?? '';
  return { old, next, seed, early, middle, end, [Symbol.asyncDispose]: async () => await all.disposeAsync() };
}

interface Recovered {
  calls: WatchedCall[];
  ahead: string[];
  tables: Record<string, TableFingerprint>;
}

/** Walhold's settings for a recovery with or without a worker. */
async function configOf(ahead: boolean, settings: Settings): Promise<string> {
  const { cluster, repository } = history.old;
  const own = { repo: `file://${repository}`, gap_grace: '1s', jobs: 2, ...settings };
  return await writeConfig(cluster, ahead ? own : { ...own, fetch_ahead: 0 }, `${ahead ? 'ahead' : 'direct'}.conf`);
}

async function recover(ahead: boolean, { walhold = {}, server = {} }: Case): Promise<Recovered> {
  await using copy = await copyOf(history.seed, { name: ahead ? 'ahead' : 'direct' });
  const config = await configOf(ahead, walhold);
  const watched = await watchedRestore(copy, { config });
  await recoverFromArchive(copy, { config }, { restore_command: watched.command, ...server });
  await copy.start();
  await copy.waitUntilPromoted();
  await waitFor(() => workersOf(copy.dataDir).length === 0, { what: 'the worker to end with the recovery' });
  return { calls: watched.calls(), ahead: watched.ahead(), tables: await fingerprint(copy) };
}

interface Case {
  walhold?: Settings;
  server?: Settings;
}

describe('a recovery with a worker is given what one without is given, call by call', () => {
  const expectSame = async (how: Case): Promise<Recovered> => {
    const direct = await recover(false, how);
    const ahead = await recover(true, how);
    expect(direct.ahead).toEqual([]);
    expect(ahead.ahead.length).toBeGreaterThan(0);
    expect(ahead.calls).toEqual(direct.calls);
    expect(ahead.tables).toEqual(direct.tables);
    return ahead;
  };

  test('through a timeline switch and to the end of the WAL', async () => {
    const { calls, tables } = await expectSame({});
    expect(tables).toEqual(await fingerprint(history.next));
    expect(calls.some(({ name, status }) => name.startsWith('00000002') && name.length === 24 && status === 0)).toBe(
      true,
    );
    expect(calls.some(({ status }) => status === 1)).toBe(true);
  });

  // Up to where it stops it is a part of the one before.
  test.runIf(LONG)('to a point in the middle of the second timeline', async () => {
    const { tables } = await expectSame({
      server: { recovery_target_lsn: history.middle, recovery_target_action: 'promote' },
    });
    expect(tables).not.toEqual(await fingerprint(history.next));
  });

  test('to a hole at which it may end', async () => {
    const { cluster, repository } = history.old;
    const path = segmentPath(repository, history.early);
    await cluster.runOk(['mv', path, `${repository}.kept`]);
    try {
      const { calls } = await expectSame({ walhold: { allow_gap: history.early } });
      expect(calls).toContainEqual({ name: history.early, status: 1, sha256: '' });
    } finally {
      await cluster.runOk(['mv', `${repository}.kept`, path]);
    }
  });
});

test('a standby with a worker comes through the switch to the end, is promoted', async () => {
  const brought: Record<string, string>[] = [];
  for (const ahead of [false, true]) {
    await using standby = await copyOf(history.seed, { name: 'standby' });
    const config = await configOf(ahead, {});
    const watched = await watchedRestore(standby, { config });
    await standby.runOk(['touch', join(standby.dataDir, 'standby.signal')]);
    await standby.configure({ hot_standby: 'on', restore_command: watched.command });
    await standby.start();
    await waitUntilReplayed(standby, history.end);
    expect(await fingerprint(standby)).toEqual(await fingerprint(history.next));
    expect(workersOf(standby.dataDir)).toHaveLength(ahead ? 1 : 0);
    await standby.promote();
    const calls = watched.calls();
    expect(new Set(calls.map(({ status }) => status))).toEqual(new Set([0, 1]));
    brought.push(
      Object.fromEntries(calls.filter(({ status }) => status === 0).map((call) => [call.name, call.sha256])),
    );
    if (!ahead) continue;
    expect(watched.ahead().length).toBeGreaterThan(0);
    await waitFor(async () => (await fetchedIn(standby)).length === 0, { what: 'what was fetched ahead to go' });
  }
  expect(brought[1]).toEqual(brought[0]);
});

async function fetchedIn(cluster: Cluster): Promise<string[]> {
  const names = await readdir(join(cluster.dataDir, 'pg_wal/pgsql_tmp.walhold'));
  return names.filter((name) => name === 'fetch' || (name.startsWith('fetch-') && !name.endsWith('.json')));
}
