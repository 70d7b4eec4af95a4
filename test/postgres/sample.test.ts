import { readFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { MAJORS } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { Cluster } from '../support/cluster.ts';
import { writeConfig } from '../support/hook.ts';
import { installedForOthers } from '../support/installed.ts';

const SAMPLE = readFileSync(join(ROOT, 'postgresql.conf.sample'), 'utf8');

/** A setting of the sample. */
interface Line {
  name: string;
  active: boolean;
  /** The oldest version that has it. */
  since: number;
}

const LINES: Line[] = SAMPLE.split(/\n(?!\t)/).flatMap((line) => {
  const found = /^(#?)(\w+) = \S/.exec(line);
  if (found === null) return [];
  const since = /version (\d+)/.exec(line)?.[1];
  return [{ name: found[2] ?? '', active: found[1] === '', since: Number(since ?? 13) }];
});

/** The sample with every setting that this version has made active. */
function everythingActive(major: number): string {
  const names = LINES.filter(({ active, since }) => !active && since <= major).map(({ name }) => name);
  return SAMPLE.replaceAll(new RegExp(`^#(?=(${names.join('|')}) = )`, 'gm'), '');
}

describe('postgresql.conf.sample', () => {
  test('sets what archiving and recovery need', () => {
    const names = LINES.filter(({ active }) => active).map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'wal_level',
        'full_page_writes',
        'archive_mode',
        'archive_command',
        'archive_timeout',
        'restore_command',
      ]),
    );
  });

  test.each(MAJORS)('PostgreSQL %i starts with it and archives', async (major) => {
    await using cluster = await Cluster.create({ major, name: 'sample' });
    await appendFile(join(cluster.dataDir, 'postgresql.conf'), SAMPLE);
    await giveWalhold(cluster);
    await cluster.start();
    await expectNoErrors(cluster, LINES.filter(({ active }) => active).map(({ name }) => name)); // prettier-ignore

    await cluster.query('create table t as select 1 as a');
    const name = await archiveEverything(cluster);
    expect(name).toMatch(/^0{7}1[0-9A-F]{16}$/);
    const failed = await cluster.value<string>('select failed_count from pg_stat_archiver');
    expect(Number(failed)).toBe(0);
  });

  test.each(MAJORS)('PostgreSQL %i knows the settings that are commented out, too', async (major) => {
    await using cluster = await Cluster.create({ major, name: 'sample' });
    const conf = everythingActive(major);
    await appendFile(join(cluster.dataDir, 'postgresql.conf'), conf);
    await giveWalhold(cluster);
    await cluster.start();
    await expectNoErrors(cluster, LINES.filter(({ since }) => since <= major).map(({ name }) => name)); // prettier-ignore
  });
});

/** Puts the programs on the server's PATH and a repository of files into their configuration. */
async function giveWalhold(cluster: Cluster): Promise<void> {
  const repository = await cluster.place.folder('repository');
  const config = await writeConfig(cluster, { repo: `file://${repository}` });
  const bin = join(await installedForOthers(), 'bin');
  Object.assign(cluster.env, { PATH: `${bin}:${cluster.env['PATH'] ?? ''}`, WALHOLD_CONFIG: config });
}

/** All of them were read from the file, understood, and are not overridden by a later line. */
async function expectNoErrors(cluster: Cluster, names: readonly string[]): Promise<void> {
  const rows = await cluster.query<{ name: string; applied: boolean; error: string | null }>(
    `select distinct on (name) name, applied, error from pg_file_settings order by name, seqno desc`,
  );
  const bad = rows.filter(({ name, applied, error }) => names.includes(name) && (!applied || error !== null));
  expect(bad).toEqual([]);
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining([...names]));
}
