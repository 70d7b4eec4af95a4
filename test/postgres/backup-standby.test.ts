import { describe, expect, test } from 'vitest';
import { archivedCluster, restored, walhold, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { begunBackups, recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { CHOSEN_MAJORS } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { restoreCommand } from '../support/hook.ts';
import { SlowBackup } from '../support/slow-backup.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';

const BACKUP = ['backup', '-c', 'fast', '--wal-timeout', '60s'];

describe.each(CHOSEN_MAJORS)('a backup from a standby of PostgreSQL %i', (major) => {
  test('of an idle primary brings all back that was there', async () => {
    await using pair = await standbyPair(major);
    const { archived, standby } = pair;
    const flags = ['-D', standby.dataDir, '-d', standby.connectionString];
    const { stdout, stderr } = await walholdOk(standby, archived.config, [...BACKUP, ...flags]);
    expect(stderr).not.toMatch(/warning|error/);
    const record = await recordOf(archived, stdout.trim());
    expect(record.server.inRecovery).toBe(true);
    await archiveEverything(archived.cluster);
    const before = await fingerprint(archived.cluster);
    await using copy = await restored(archived.cluster, archived.config, ['--backup', record.id]);
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await fingerprint(copy)).toEqual(before);
  });
});

describe('a backup from a standby', () => {
  test('finds the primary by --primary, and refuses what is none', async () => {
    await using pair = await standbyPair(15, () => ({ primary_conninfo: '' }));
    const { archived, standby } = pair;
    const flags = ['-d', standby.connectionString];
    const wrong = ['--primary', standby.connectionString];
    const refused = await walhold(standby, archived.config, [...BACKUP, ...flags, ...wrong]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('is no primary');
    const right = ['--primary', archived.cluster.connectionString];
    const { stderr } = await walholdOk(standby, archived.config, [...BACKUP, ...flags, ...right]);
    expect(stderr).not.toMatch(/warning|error/);
  });

  test('whose user may not switch WAL on the primary says so, and waits for it', async () => {
    await using pair = await standbyPair(15, (primary) => {
      return { primary_conninfo: primary.connectionString.replace('user=postgres', 'user=streamer') };
    });
    const { archived, standby } = pair;
    const flags = ['-d', standby.connectionString, '--wal-timeout', '1s'];
    const { status, stderr } = await walhold(standby, archived.config, [...BACKUP, ...flags]);
    expect(status).toBe(1);
    expect(stderr).toContain('warning: could not switch WAL on the primary');
    expect(stderr).toContain('permission denied for function pg_switch_wal');
    expect(stderr).toContain('let --primary name the server');
  });

  test('fails when the standby is promoted meanwhile', async () => {
    await using pair = await standbyPair(15);
    const { archived, standby } = pair;
    await using slow = await SlowBackup.start({ cluster: standby, config: archived.config });
    await standby.promote();
    const { status, stdout, stderr } = await slow.ended();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('could not stop the backup');
    expect(stderr).toContain('the standby was promoted during online backup');
    expect(await begunBackups(archived)).toHaveLength(1);
    const list = await walholdOk(standby, archived.config, ['list', '--json']);
    expect(JSON.parse(list.stdout)).toMatchObject({ backups: [] });
  });

  test('fails when the standby follows another primary meanwhile', async () => {
    await using pair = await standbyPair(15);
    const { archived, standby: next } = pair;
    const upstream = { primary_conninfo: next.connectionString };
    await using standby = await makeStandby(archived.cluster, { streaming: true, settings: upstream });
    await standby.start();
    await waitUntilCaughtUp(standby, archived.cluster);
    await using slow = await SlowBackup.start({ cluster: standby, config: archived.config });
    await next.promote();
    await next.query('insert into t select i, null from generate_series(1, 1000) i');
    await waitUntilCaughtUp(standby, next);
    await standby.query('checkpoint');
    const { status, stdout, stderr } = await slow.ended();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('the standby has moved to another timeline during the backup');
    expect(stderr).toContain('it began on timeline 1 and ended on 2');
  });
});

interface Pair extends AsyncDisposable {
  archived: Archived;
  standby: Cluster;
}

/** A primary that archives and a standby that streams from it; nobody writes. */
async function standbyPair(
  major: number,
  further: (primary: Cluster) => Record<string, string> = () => ({}),
): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const archived = stack.use(await archivedCluster({ major }));
  const primary = archived.cluster;
  await primary.start();
  await primary.query('create role streamer login replication');
  await primary.query('create table t as select i, md5(i::text) as v from generate_series(1, 3000) i');
  await archiveEverything(primary);
  const restore_command = await restoreCommand({ config: archived.config });
  const settings = { restore_command, ...further(primary) };
  const standby = stack.use(await makeStandby(primary, { streaming: true, settings }));
  await standby.start();
  if (further(primary)['primary_conninfo'] !== '') {
    await primary.query('insert into t values (0, null)');
    await waitUntilCaughtUp(standby, primary);
  }
  const all = stack.move();
  return { archived, standby, [Symbol.asyncDispose]: async () => await all.disposeAsync() };
}
