import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { archivedCluster, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, failedPushes, readyFiles, switchWal, waitUntilArchived } from '../support/archiving.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { writeConfig } from '../support/hook.ts';
import { recoverFromArchive, startInVain } from '../support/recovery.ts';
import { filedSegments, segmentPath } from '../support/repository-files.ts';
import { copyOf } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';
import type { Cluster } from '../support/cluster.ts';

/** A cluster that archives into two shares. */
async function withTwo(): Promise<Archived & { second: string }> {
  const archived = await archivedCluster({ walhold: { gap_grace: '1s' } });
  const { cluster, repository } = archived;
  const second = await cluster.place.folder('second');
  await writeConfig(cluster, { repo: `file://${repository}`, repo2: `file://${second}`, gap_grace: '1s' });
  return { ...archived, second };
}

test('a segment is safe only when both hold it, and the next try sends it to the one that lacks it', async () => {
  await using two = await withTwo();
  const { cluster, repository, second } = two;
  await cluster.start();
  await archiveEverything(cluster);
  await rename(second, `${second}.away`);
  const name = await switchWal(cluster);
  await waitFor(async () => (await failedPushes(cluster)) > 0, { what: 'a push to fail' });
  expect(await readyFiles(cluster)).toContain(`${name}.ready`);
  expect(await filedSegments(repository)).toContain(name);
  const { ino, mtimeMs, ctimeMs } = await stat(segmentPath(repository, name));
  expect(await cluster.logText()).toMatch(new RegExp(`could not store ${name} in 1 of 2 repositories`));

  await rename(`${second}.away`, second);
  await archiveEverything(cluster);
  await waitUntilArchived(cluster, name);
  expect(await stat(segmentPath(repository, name))).toMatchObject({ ino, mtimeMs, ctimeMs });
  expect(await filedSegments(second)).toEqual(await filedSegments(repository));
});

test('recovery reads from the second what is damaged or missing in the first', async () => {
  await using two = await withTwo();
  const { cluster, repository, copy } = await archivedBeyondCopy(two);
  await using recovering = copy;
  const [damaged = '', , missing = ''] = (await filedSegments(repository)).slice(-4);
  await flipBit(segmentPath(repository, damaged));
  await rename(segmentPath(repository, missing), `${repository}.removed`);

  await recoverFromArchive(recovering, { config: two.config });
  await recovering.start();
  await recovering.waitUntilPromoted();
  expect(await fingerprint(recovering)).toEqual(await fingerprint(cluster));
  expect(await recovering.logText()).toMatch(new RegExp(`walhold-fetch: warning: .*(\n.*){0,3}${damaged}`));
});

test('with one repository away recovery reads the other, and ends only where that one alone is to be believed', async () => {
  await using two = await withTwo();
  const { cluster, repository, copy } = await archivedBeyondCopy(two);
  await using recovering = copy;
  await rename(repository, `${repository}.away`);

  await recoverFromArchive(recovering, { config: two.config }, { recovery_target_timeline: '1' });
  const stopped = await startInVain(recovering);
  expect(stopped).toMatchObject({ status: 1, promoted: false });
  for (const name of (await filedSegments(two.second)).slice(-3)) {
    expect(stopped.log).toContain(`restored log file "${name}" from archive`);
  }
  await recoverFromArchive(recovering, { config: two.config, flags: ['--use-repo', '2'] });
  await recovering.start();
  await recovering.waitUntilPromoted();
  expect(await fingerprint(recovering)).toEqual(await fingerprint(cluster));
});

test('what is damaged in both repositories stops recovery', async () => {
  await using two = await withTwo();
  const { repository, copy } = await archivedBeyondCopy(two);
  await using recovering = copy;
  const name = (await filedSegments(repository)).at(-2) ?? '';
  await flipBit(segmentPath(repository, name));
  await flipBit(segmentPath(two.second, name));

  await recoverFromArchive(recovering, { config: two.config });
  const stopped = await startInVain(recovering);
  expect(stopped).toMatchObject({ status: 1, promoted: false });
  expect(stopped.log).toMatch(new RegExp(`walhold-fetch: error: .*${name}`));
});

/** A copy of the cluster, stopped, and four segments archived after it was made. */
async function archivedBeyondCopy(two: Archived): Promise<{ cluster: Cluster; repository: string; copy: Cluster }> {
  const { cluster, repository } = two;
  await cluster.start();
  await cluster.query('create table t as select generate_series(1, 100) as i');
  await archiveEverything(cluster);
  const copy = await copyOf(cluster, { name: 'copy' });
  for (let round = 0; round < 4; round += 1) {
    await cluster.query('insert into t select generate_series(1, 100)');
    await archiveEverything(cluster);
  }
  return { cluster, repository, copy };
}

/** In the middle, with the file's owner and mode as they were. */
async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  const middle = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 4, middle);
  await writeFile(path, bytes);
}
