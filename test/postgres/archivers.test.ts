import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { archivedCluster } from '../support/archived-cluster.ts';
import { archiveEverything, failedPushes, readyFiles, switchWal, waitUntilArchived } from '../support/archiving.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { recoverFromArchive } from '../support/recovery.ts';
import { copyOf, makeStandby, waitUntilCaughtUp } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';

describe('two servers that archive into one place', () => {
  test('agree when one is the standby of the other, with archive_mode = always', async () => {
    await using original = await archivedCluster({ settings: { wal_keep_size: '256MB' } });
    const { cluster: primary } = original;
    await primary.start();
    await primary.query('create table t as select generate_series(1, 100) as i');
    await using standby = await makeStandby(primary, { streaming: true, settings: { archive_mode: 'always' } });
    await standby.start();
    for (let round = 0; round < 6; round += 1) {
      await primary.query('insert into t select generate_series(1, 3000)');
      const name = await switchWal(primary);
      await waitUntilCaughtUp(standby, primary);
      await waitUntilArchived(primary, name);
      await primary.query('checkpoint'); // so that segments are recycled, and end in what they held before
      if (round % 2 === 1) await standby.query('checkpoint');
    }
    await waitFor(async () => (await readyFiles(standby)).length === 0, { what: 'the standby to archive' });
    expect(await failedPushes(primary)).toBe(0);
    expect(await failedPushes(standby)).toBe(0);
  });

  test('are told apart when both were promoted from one origin, and the first one counts', async () => {
    await using original = await archivedCluster();
    const { cluster, config, repository } = original;
    await cluster.start();
    await cluster.query('create table t as select generate_series(1, 100) as i');
    await archiveEverything(cluster);
    await using later = await copyOf(cluster, { name: 'later' });
    await using first = await copyOf(cluster, { name: 'first' });
    await using second = await copyOf(cluster, { name: 'second' });
    // The copies have ended segments, which nobody archives once their origin is dead.
    await archiveEverything(cluster);
    await cluster.stop('immediate');
    for (const [index, clone] of [first, second].entries()) {
      // Each is promoted without a look at the archive, so both take the next number.
      await recoverFromArchive(clone, { config }, { restore_command: 'false', archive_mode: 'on' });
      await clone.start();
      await clone.waitUntilPromoted();
      await clone.query('insert into t values ($1)', [-index]);
      if (index === 0) await archiveEverything(clone);
    }
    const history = join(repository, 'wal', '00000002.history.zst');
    const before = await readFile(history);

    await switchWal(second);
    await second.waitForLog(
      /walhold-push: error: could not store 0000000[12].*other content is stored under this name/,
    );
    expect(await second.logText()).toMatch(/walhold-push: detail: (.*SHA-256 [0-9a-f]{64}){2}/);
    await waitFor(async () => (await failedPushes(second)) > 0, { what: 'the archiver to count it' });
    expect((await readFile(history)).equals(before)).toBe(true);

    await recoverFromArchive(later, { config });
    await later.start();
    await later.waitUntilPromoted();
    expect(await fingerprint(later)).toEqual(await fingerprint(first));
  });
});
