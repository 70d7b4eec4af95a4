import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { archivedCluster, backUp, restored, walhold, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, readyFiles, switchWal } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { archiveCommand, built } from '../support/hook.ts';
import { recoverFromArchive, startInVain } from '../support/recovery.ts';
import { filedSegments, filedWal, segmentPath } from '../support/repository-files.ts';
import { copyOf } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';

describe('a clone that archived nothing but its history file', () => {
  test('does not lead recovery past its fork, and restore does not follow it', async () => {
    await using original = await archivedCluster({ walhold: { gap_grace: '1s' } });
    const { cluster, config, repository } = original;
    await cluster.start();
    await cluster.query('create table t as select generate_series(1, 100) as i');
    await backUp(cluster, config);
    await archiveEverything(cluster);
    await using copy = await copyOf(cluster, { name: 'copy' });
    await cluster.query('insert into t select generate_series(1, 100)');
    await archiveEverything(cluster);
    await archiveHistoryOfClone(original);
    await cluster.query('insert into t select generate_series(1, 100)');
    await archiveEverything(cluster);
    expect(await filedWal(repository)).toContain('00000002.history.zst');
    expect(await filedSegments(repository, '00000002')).toEqual([]);

    await recoverFromArchive(copy, { config });
    const stopped = await startInVain(copy);
    expect(stopped).toMatchObject({ status: 1, promoted: false });
    expect(stopped.log).toMatch(/walhold-fetch: error: .*behind the fork to timeline 2/);

    await copy.configure({ recovery_target_timeline: '1' });
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await fingerprint(copy)).toEqual(await fingerprint(cluster));

    await using again = await restored(cluster, config);
    expect(await readFile(join(again.dataDir, 'postgresql.auto.conf'), 'utf8')).toMatch(
      /^recovery_target_timeline = '?1'?$/m,
    );
    await again.start();
    await again.waitUntilPromoted();
    expect(await fingerprint(again)).toEqual(await fingerprint(cluster));
  });
});

describe('a hole where a timeline begins', () => {
  test('ends a recovery that is allowed to end there, and does not lead it past the fork', async () => {
    await using original = await archivedCluster({ walhold: { gap_grace: '1s', push_ahead: 0 } });
    const { cluster, config, repository } = original;
    await cluster.start();
    await cluster.query('create table t as select generate_series(1, 100) as i');
    await backUp(cluster, config);
    await archiveEverything(cluster);
    const before = await fingerprint(cluster);
    await using clone = await copyOf(cluster, { name: 'clone' });
    await recoverFromArchive(clone, { config });
    await clone.configure({ archive_mode: 'on', archive_command: await archiveCommand({ config }) });
    await clone.start();
    await clone.waitUntilPromoted();
    for (const server of [cluster, clone]) {
      await server.query('insert into t select generate_series(1, 100)');
      await archiveEverything(server);
      await server.query('insert into t select generate_series(1, 100)');
      await archiveEverything(server);
    }
    await clone.stop();
    const [first = '', ...rest] = await filedSegments(repository, '00000002');
    expect(rest.length).toBeGreaterThan(0);
    expect(await filedSegments(repository, '00000001')).toContain(`00000001${first.slice(8)}`);
    await rm(segmentPath(repository, first));

    await using ended = await restored(cluster, config, ['--end-at-gap']);
    expect(await readFile(join(ended.dataDir, 'postgresql.auto.conf'), 'utf8')).toContain(`--allow-gap ${first}`);
    await ended.start();
    await ended.waitUntilPromoted();
    expect(await fingerprint(ended)).toEqual(before);
  });
});

describe('a primary that dies with pushes in flight', () => {
  test('leaves a gap that restore shows, and ends at only when it is told to', async () => {
    await using original = await archivedCluster({ walhold: { gap_grace: '1s', push_ahead: 0 } });
    const { cluster, config, repository } = original;
    await cluster.start();
    await cluster.query('create table t as select generate_series(1, 100) as i');
    await backUp(cluster, config);
    await archiveEverything(cluster);
    const before = await fingerprint(cluster);
    const { lost, stored } = await dieWithPushesInFlight(original);
    expect((await filedSegments(repository)).includes(lost)).toBe(false);
    expect((await filedSegments(repository)).at(-1)).toBe(stored);

    await using target = await copyOf(cluster, { name: 'not-yet-empty' });
    const empty = join(target.place.path, 'restored');
    const refused = await walhold(target, config, ['restore', '-D', empty]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(lost);
    expect(refused.stderr).toContain('--end-at-gap');

    await using gapEnded = await restored(cluster, config, ['--end-at-gap']);
    expect(await readFile(join(gapEnded.dataDir, 'postgresql.auto.conf'), 'utf8')).toContain(lost);
    await gapEnded.start();
    await gapEnded.waitUntilPromoted();
    expect(await fingerprint(gapEnded)).toEqual(before);

    await walholdOk(cluster, config, ['wal', 'push', '-D', cluster.dataDir]);
    await using whole = await restored(cluster, config);
    await whole.start();
    await whole.waitUntilPromoted();
    expect(await whole.value('select count(*) from t')).toBe('300');
  });
});

/** Promotes a copy of the cluster that can archive its history file and nothing else. */
async function archiveHistoryOfClone({ cluster, config, repository }: Archived): Promise<void> {
  await using clone = await copyOf(cluster, { name: 'clone' });
  const push = await archiveCommand({ config });
  await recoverFromArchive(clone, { config });
  await clone.configure({
    archive_mode: 'on',
    archive_command: `case %f in *.history) ${push} ;; *) false ;; esac`,
  });
  await clone.start();
  await clone.waitUntilPromoted();
  const isStored = async (): Promise<boolean> => (await filedWal(repository)).includes('00000002.history.zst');
  await waitFor(isStored, { what: 'the history file to be archived' });
  await clone.kill9();
}

/**
 * Kills the server after a later segment is stored and the one before it is not, as happens to uploads that run beside each
 * other. Table `t` gets 100 rows in each.
 */
async function dieWithPushesInFlight({ cluster, config }: Archived): Promise<{ lost: string; stored: string }> {
  await cluster.reconfigure({ archive_command: 'false' });
  await cluster.query('insert into t select generate_series(1, 100)');
  const lost = await switchWal(cluster);
  await cluster.query('insert into t select generate_series(1, 100)');
  const stored = await switchWal(cluster);
  expect(await readyFiles(cluster)).toEqual([`${lost}.ready`, `${stored}.ready`]);
  await pushByHand(cluster, config, stored);
  await cluster.kill9();
  return { lost, stored };
}

async function pushByHand(cluster: Cluster, config: string, name: string): Promise<void> {
  await cluster.runOk([await built('walhold-push'), '--config', config, `pg_wal/${name}`], { cwd: cluster.dataDir });
}
