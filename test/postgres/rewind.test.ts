import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { archivedCluster, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { restoreCommand, writeConfig } from '../support/hook.ts';
import { startLoad } from '../support/load.ts';
import { filedSegments } from '../support/repository-files.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';
import { watchedRestore, type WatchedCall } from '../support/watched-restore.ts';
import { workersOf } from '../support/workers.ts';
import { findPostgres } from '../../scripts/find-postgres.ts';

const { hasClients } = await findPostgres();
const SPOOL = 'pg_wal/pgsql_tmp.walhold';

test.runIf(hasClients)('pg_rewind -c brings an old primary back with WAL that only the archive has', async () => {
  await using diverged = await twoPrimaries();
  const { original, next } = diverged;
  const { cluster: old, repository, config } = original;
  for (let round = 0; round < 3; round += 1) {
    await old.query('update t set i = -i');
    await archiveEverything(old);
  }
  await old.stop('fast');
  const archived = await filedSegments(repository, '00000001');
  await removeWal(old.dataDir, archived);

  const without = await rewind(original, next, ['--dry-run']);
  expect(without.status).toBe(1);
  expect(without.stderr).toMatch(/could not (open|find)/);

  // What it is given does not depend on workers, its own settings or the source's.
  const direct = await writeConfig(old, { repo: `file://${repository}`, fetch_ahead: 0, push_ahead: 0 }, 'direct.conf');
  const tried: WatchedCall[][] = [];
  for (const [setting, flags] of [[direct, ['-c', '--dry-run']] as const, [config, ['-c']] as const]) {
    const watched = await watchedRestore(old, { config: setting });
    const before = watched.calls().length;
    await old.configure({ restore_command: watched.command });
    const result = await rewind(original, next, flags);
    expect(result.stderr).not.toMatch(/walhold-fetch: error/);
    expect(result).toMatchObject({ status: 0 });
    tried.push(watched.calls().slice(before));
    if (setting === direct) await removeWal(old.dataDir, archived);
  }
  expect(tried[0]?.filter(({ status }) => status === 0).length).toBeGreaterThan(0);
  expect(tried[1]).toEqual(tried[0]);
  await expectFollows(original, next);
});

test.runIf(hasClients)('pg_rewind from a live source takes nothing of the worker that runs there', async () => {
  await using diverged = await twoPrimaries();
  const { original, next } = diverged;
  const { cluster: old } = original;
  await old.query('update t set i = -i');
  await archiveEverything(old);
  await old.stop('fast');
  await waitFor(() => workersOf(old.dataDir).length === 0, { what: 'the old worker to end' });
  const before = await filesIn(old);
  await using load = await startLoad(next, { clients: 2, payloadBytes: 4000 });
  await waitFor(async () => [...(await filesIn(next)).keys()].some((name) => name.startsWith('push-')), {
    what: 'answers in the spool of the source',
    deadlineMs: 20_000,
  });
  const { status, stderr } = await rewind(original, next, []);
  expect(stderr).not.toContain('error');
  expect(status).toBe(0);
  // It removes what the target has of it, which the next calls make anew.
  for (const [name, text] of await filesIn(old)) expect({ name, text }).toEqual({ name, text: before.get(name) });
  expect(workersOf(next.dataDir)).toHaveLength(1);
  await load.stop();
  await expectFollows(original, next);
});

/** A primary that lives on beside the one that took over; both archive into one repository, each with a worker. */
async function twoPrimaries(): Promise<{ original: Archived; next: Cluster } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const original = stack.use(await archivedCluster({ settings: { wal_keep_size: '256MB' } }));
  const { cluster: old, config } = original;
  await old.start();
  await old.query('create table t as select generate_series(1, 1000) as i');
  const restore_command = await restoreCommand({ config });
  await old.configure({ restore_command, wal_log_hints: true });
  const next = stack.use(await makeStandby(old, { streaming: true, settings: { restore_command } }));
  await next.start();
  await waitUntilCaughtUp(next, old);
  await next.promote();
  await next.query('insert into t select generate_series(1, 1000)');
  // The worker of its recovery ends, and may take the first request for one that archives along.
  const isServed = async (): Promise<boolean> =>
    (await archiveEverything(next)) !== '' && existsSync(join(next.dataDir, SPOOL, 'push'));
  await waitFor(isServed, { what: 'a worker to archive' });
  await next.query('checkpoint'); // until its first one, pg_rewind up to 15 believes it to be on the old timeline
  const all = stack.move();
  return { original, next, [Symbol.asyncDispose]: async () => await all.disposeAsync() };
}

async function rewind(
  { cluster: old, repository }: Archived,
  next: Cluster,
  flags: readonly string[],
): ReturnType<Cluster['run']> {
  const argv = [join(old.postgres.bin, 'pg_rewind'), '-D', old.dataDir, '--source-server', next.connectionString];
  return await old.run([...argv, ...flags], { cwd: repository });
}

/** The rewound one becomes a standby of the other, and holds what that holds. */
async function expectFollows({ cluster: old, config }: Archived, next: Cluster): Promise<void> {
  await old.runOk(['touch', join(old.dataDir, 'standby.signal')]);
  const restore_command = await restoreCommand({ config });
  await old.configure({ primary_conninfo: next.connectionString, restore_command });
  await old.start({ until: 'nothing' });
  await old.waitForLog(/started streaming WAL/);
  await next.query('insert into t values (-1)'); // or it waits for the next record of its own, some ten seconds
  await old.waitUntilConnectable();
  await waitUntilCaughtUp(old, next);
  expect(await fingerprint(old)).toEqual(await fingerprint(next));
}

/** What the last checkpoint has not removed already. */
async function removeWal(dataDir: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map(async (name) => await rm(join(dataDir, 'pg_wal', name), { force: true })));
}

/** What lies in the spool of a cluster, and what is in it. */
async function filesIn({ dataDir }: Cluster): Promise<Map<string, string>> {
  const spool = join(dataDir, SPOOL);
  const found = new Map<string, string>();
  if (!existsSync(spool)) return found;
  for (const entry of await readdir(spool, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const text = entry.isFile() ? await readFile(path, 'latin1').catch(() => undefined) : '';
    if (text !== undefined) found.set(path.slice(spool.length + 1), text);
  }
  return found;
}
