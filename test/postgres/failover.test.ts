import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { archivedCluster, backUp, restored, walhold, walholdOk } from '../support/archived-cluster.ts';
import { archiveEverything, waitUntilArchived } from '../support/archiving.ts';
import { failoverBehindArchive, writeAndSwitch } from '../support/failover.ts';
import { archiveCommand, restoreCommand } from '../support/hook.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { recoverFromArchive, startInVain } from '../support/recovery.ts';
import { filedSegments, filedWal } from '../support/repository-files.ts';
import { makeStandby, waitUntilCaughtUp, waitUntilReplayed } from '../support/standby.ts';

describe('after a failover in which the old primary had not archived all', () => {
  test('recovery stops at the hole, and goes on once the new primary has pushed what it had streamed', async () => {
    await using failover = await failoverBehindArchive();
    const { old, next, seed, unarchived } = failover;
    const [first = ''] = unarchived;
    expect(await filedSegments(old.repository, '00000001')).not.toContain(first);
    await recoverFromArchive(seed, { config: old.config });

    const stopped = await startInVain(seed);
    expect(stopped).toMatchObject({ status: 1, promoted: false });
    expect(stopped.log).toMatch(new RegExp(`walhold-fetch: error: ${first} is missing .*WAL goes on behind it`));

    const push = ['wal', 'push', '-D', next.dataDir];
    const check = await walhold(next, old.config, [...push, '--check']);
    expect(check.status).toBe(1);
    for (const name of unarchived) expect(check.stdout).toContain(name);
    expect(await filedSegments(old.repository, '00000001')).not.toContain(first);
    await walholdOk(next, old.config, push);
    expect(await filedSegments(old.repository, '00000001')).toEqual(expect.arrayContaining([...unarchived]));

    await seed.start();
    await seed.waitUntilPromoted();
    expect(await fingerprint(seed)).toEqual(await fingerprint(next));
    // Its segments come behind what was archived in the regular way, and nothing was written twice.
    const again = await walholdOk(next, old.config, push);
    expect(again.stdout).not.toContain(first);
  });

  test('a history file that is missing is a hole too, and the new primary has it still', async () => {
    await using failover = await failoverBehindArchive();
    const { old, next, seed } = failover;
    await walholdOk(next, old.config, ['wal', 'push', '-D', next.dataDir]);
    await rm(join(old.repository, 'wal', '00000002.history.zst'));
    await recoverFromArchive(seed, { config: old.config });

    const stopped = await startInVain(seed);
    expect(stopped).toMatchObject({ status: 1, promoted: false });
    expect(stopped.log).toMatch(/walhold-fetch: error: 00000002\.history is missing/);

    await walholdOk(next, old.config, ['wal', 'push', '-D', next.dataDir]);
    expect(await filedWal(old.repository)).toContain('00000002.history.zst');
    await seed.start();
    await seed.waitUntilPromoted();
    expect(await fingerprint(seed)).toEqual(await fingerprint(next));
  });

  test('the old primary, once archiving again, finds its segments stored by the new one', async () => {
    await using failover = await failoverBehindArchive();
    const { old, next, unarchived } = failover;
    await walholdOk(next, old.config, ['wal', 'push', '-D', next.dataDir]);
    await old.cluster.configure({ archive_command: await archiveCommand({ config: old.config }) });
    await old.cluster.start();
    for (const name of unarchived) await waitUntilArchived(old.cluster, name);
  });
});

describe('after a failover', () => {
  test('a standby that lives from the archive alone follows to the new timeline', async () => {
    await using original = await archivedCluster({
      walhold: { gap_grace: '1s' },
      settings: { wal_keep_size: '256MB' },
    });
    const { cluster: primary, config } = original;
    await primary.start();
    await primary.query('create table t as select 1 as i, $$x$$ as v');
    const settings = { restore_command: await restoreCommand({ config }) };
    await using next = await makeStandby(primary, { name: 'next', streaming: true, settings });
    await using follower = await makeStandby(primary, { name: 'follower', streaming: false, settings });
    await next.start();
    await follower.start();
    await writeAndSwitch(primary, 'archived by the old primary');
    await archiveEverything(primary);
    await primary.query(`insert into t values (1, 'in the segment of the fork')`);
    await waitUntilCaughtUp(next, primary);
    await primary.kill9();
    await next.promote();
    await writeAndSwitch(next, 'on the new timeline');
    const lsn = await next.value<string>('select pg_current_wal_lsn()::text');
    await archiveEverything(next);

    await waitUntilReplayed(follower, lsn);
    expect(await follower.value('select pg_is_in_recovery()')).toBe(true);
    expect(await fingerprint(follower)).toEqual(await fingerprint(next));
  });

  test('the last rows of the old timeline can be recovered from its partial segment', async () => {
    await using original = await archivedCluster({ settings: { wal_keep_size: '256MB' } });
    const { cluster: primary, config, repository } = original;
    await primary.start();
    await primary.query('create table t as select 1 as i, $$x$$ as v');
    await backUp(primary, config);
    await writeAndSwitch(primary, 'archived by the old primary');
    await archiveEverything(primary);
    await using next = await makeStandby(primary, { name: 'next', streaming: true });
    await next.start();
    // The copy has ended segments, which nobody archives soon once the primary is dead.
    await archiveEverything(primary);
    await primary.query(`insert into t values (1, 'in the segment of the fork')`);
    const lsn = await primary.value<string>('select pg_current_wal_lsn()::text');
    await primary.query(`insert into t values (1, 'after the target')`);
    await waitUntilCaughtUp(next, primary);
    await primary.kill9();
    await next.promote();
    await writeAndSwitch(next, 'on the new timeline');
    await archiveEverything(next);
    const partials = (await filedWal(repository)).filter((name) => name.includes('.partial.'));
    expect(partials).toHaveLength(1);
    expect((await filedSegments(repository)).join(' ')).not.toContain(partials[0]?.slice(0, 24) ?? '');

    await using back = await restored(primary, config, ['--target-timeline', '1', '--target-lsn', lsn]);
    await back.start();
    await back.waitForLog(/pausing at the end of recovery/);
    const found = await back.query<{ v: string }>(`select distinct v from t order by v`);
    expect(found.map(({ v }) => v)).toEqual(['archived by the old primary', 'in the segment of the fork', 'x']);
  });
});
