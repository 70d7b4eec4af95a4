import { globSync, readFileSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPostgres, MAJORS } from '../../scripts/find-postgres.ts';
import { parseManifest } from '../../src/postgres/manifest-reader.ts';
import {
  archivedCluster,
  backUp,
  emptyCluster,
  walhold,
  walholdOk,
  type Archived,
} from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { backupFolder, begunBackups, extracted, recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { inAllWays } from '../support/effort.ts';
import { startLoad } from '../support/load.ts';
import { descendants } from '../support/process-tree.ts';
import { run } from '../support/run.ts';
import { SlowBackup } from '../support/slow-backup.ts';
import { startedExtraction } from '../support/started-extraction.ts';
import { createTablespace } from '../support/tablespace.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();
const BACKUP = ['backup', '-c', 'fast'];

describe.each(MAJORS.filter(inAllWays))('a base backup of PostgreSQL %i', (major) => {
  test('taken under load, is brought back by tar, zstd and the server alone', async () => {
    await using archived = await archivedCluster({ major, segmentMb: 16 });
    const { cluster, config } = archived;
    await cluster.start();
    await createTablespace(cluster, 'fast');
    await cluster.query(
      `create table spread tablespace fast as select i, md5(i::text) from generate_series(1, 2000) i`,
    );
    await cluster.query('create unlogged table forgotten as select 1 as i');
    const load = await startLoad(cluster, { clients: 2 });
    const churn = churning(cluster);
    const id = await backUp(cluster, config, ['-j', '2']);
    await churn();
    const { committed } = await load.stop();
    await archiveEverything(cluster);
    const record = await recordOf(archived, id);
    const folder = await extracted(archived, id);
    expect(await faultsOf(archived, folder)).toEqual([]);

    await using copy = await startedExtraction(archived, folder);
    const rows = await copy.query<{ id: string }>('select id from load');
    const found = new Set(rows.map((row) => Number(row.id)));
    expect(committed.filter((row) => !found.has(row.id))).toEqual([]);
    expect(await copy.value('select count(*) from spread')).toBe('2000');
    expect(await copy.value('select count(*) from forgotten')).toBe('0');
    expect(record.tablespaces).toHaveLength(1);
    expect(record.stoppedAt > record.startedAt).toBe(true);
  });
});

describe('a base backup', () => {
  test.skipIf(!hasClients)('is accepted by pg_verifybackup after tar alone', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const folder = await extracted(archived, await backUp(cluster, config));
    const result = await cluster.run([join(cluster.postgres.bin, 'pg_verifybackup'), '-n', folder]);
    expect(result).toMatchObject({ status: 0, stdout: 'backup successfully verified\n' });
  });

  test('prints its id alone, and says on stderr what it does', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const flags = ['-d', cluster.connectionString, '-P', '-l', 'my label'];
    const { stdout, stderr } = await walholdOk(cluster, config, [...BACKUP, ...flags]);
    expect(stdout).toMatch(/^\d{8}T\d{6}Z-full\n$/);
    expect(stderr).toMatch(/copying \d+ MB in \d+ files/);
    expect(stderr).toMatch(/\d+ MB of \d+ MB \(100%\)/);
    expect(stderr).not.toMatch(/\r|error|warning/);
    const record = await recordOf(archived, stdout.trim());
    expect(record.label).toBe('my label');
    expect(await readFile(join(await extracted(archived, record.id), 'backup_label'), 'utf8')).toContain(
      'LABEL: my label\n',
    );
  });

  test('reports its progress as JSON, a line each, and so does its restore', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const flags = ['-d', cluster.connectionString, '--progress-format', 'json', '--log-level', 'error', '-r', '16M'];
    const { stderr } = await walholdOk(cluster, config, [...BACKUP, ...flags]);
    const events = progressOf(stderr);
    const phases = [...new Set(events.map(({ phase }) => phase))];
    expect(phases).toEqual(['waiting for a checkpoint', 'copying', 'waiting for WAL', 'finishing']);
    const copying = events.filter(({ phase }) => phase === 'copying');
    expect(copying.at(-1)?.bytesDone).toBe(copying.at(-1)?.bytesTotal);
    // Twenty-odd megabytes at sixteen a second.
    const under = copying.filter(({ secondsLeft, rate }) => secondsLeft !== null && rate !== null);
    expect(under[0]?.bytesDone).toBeLessThan(under[0]?.bytesTotal ?? 0);

    await using copy = await emptyCluster(cluster, 'restored');
    const form = ['--progress-format', 'json', '--log-level', 'error'];
    const restore = await walholdOk(cluster, config, ['restore', '-D', copy.dataDir, ...form]);
    const restoring = progressOf(restore.stderr);
    expect([...new Set(restoring.map(({ phase }) => phase))]).toEqual(['restoring', 'bringing files to disk']);
  });

  test('tells its progress to a log in a line for each phase, and nothing to one that did not ask', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const flags = ['-d', cluster.connectionString, '--log-level', 'error'];
    const told = (await walholdOk(cluster, config, [...BACKUP, ...flags, '-P'])).stderr;
    expect(told).toMatch(
      /^walhold: waiting for a checkpoint\nwalhold: copying: .* of .* \(100%\), .*\nwalhold: waiting for WAL\nwalhold: finishing\n$/,
    );
    expect((await walholdOk(cluster, config, [...BACKUP, ...flags])).stderr).toBe('');
  });

  test('copies with less haste than the server has', async () => {
    await using archived = await archivedCluster();
    await archived.cluster.start();
    await using slow = await SlowBackup.start(archived);
    const nice = await waitFor(() => ((found) => found.includes(10) && found)(niceOf(slow.pid)), {
      what: 'the copying threads',
    });
    // The one that talks with the server has as much as ever.
    expect(nice).toContain(0);
  });

  test('holds what PostgreSQL’s own would hold, and pg_control as its very last file', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const left = [
      'pg_wal/pgsql_tmp.x',
      'base/pgsql_tmp',
      'recovery.signal',
      'pg_replslot/kept',
      'current_logfiles.tmp',
    ];
    await cluster.runOk(['mkdir', '-p', ...left.map((name) => join(cluster.dataDir, name))]);
    await cluster.runOk(['touch', join(cluster.dataDir, 'base/pgsql_tmp/file'), join(cluster.dataDir, 'mine.txt')]);
    const id = await backUp(cluster, config);
    const folder = await extracted(archived, id);
    expect(await readdir(join(folder, 'pg_wal'))).toEqual([]);
    expect(await readdir(join(folder, 'pg_replslot'))).toEqual([]);
    const top = await readdir(folder);
    expect(top).toContain('mine.txt');
    for (const name of ['postmaster.pid', 'postmaster.opts', 'recovery.signal', 'current_logfiles.tmp']) {
      expect(top).not.toContain(name);
    }
    expect(await readdir(join(folder, 'base'))).not.toContain('pgsql_tmp');
    const { parts } = await recordOf(archived, id);
    const last = parts.at(-1)?.frames.flatMap((frame) => frame.filter((cell) => typeof cell === 'string'));
    expect(last).toEqual(['backup_label', 'global/pg_control']);
    // As the file's owner left them.
    expect((await stat(join(folder, 'global/pg_control'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'base'))).mode & 0o777).toBe(0o700);
  });

  test('and another at the same time do not disturb each other', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const ids = await Promise.all([backUp(cluster, config), backUp(cluster, config), backUp(cluster, config)]);
    expect(new Set(ids).size).toBe(3);
    expect(await begunBackups(archived)).toEqual(ids.toSorted());
    for (const id of ids) expect(await faultsOf(archived, await extracted(archived, id))).toEqual([]);
  });

  test('goes into every repository, byte for byte', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    const second = await cluster.place.folder('second');
    await cluster.runOk(['sh', '-c', `echo "repo2 = 'file://$1'" >> "$2"`, 'sh', second, config]);
    await cluster.start();
    const id = await backUp(cluster, config);
    const difference = await run(['diff', '-r', join(archived.repository, 'backup', id), join(second, 'backup', id)]);
    expect(difference).toMatchObject({ status: 0, stdout: '' });
  });

  test('in Debian’s layout brings the configuration with it, included files too', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    const etc = await cluster.place.folder('etc');
    const move = `
      mkdir "$2/conf.d" && mv "$1/postgresql.conf" "$1/pg_hba.conf" "$1/pg_ident.conf" "$2/" &&
      echo "data_directory='$1'" >> "$2/postgresql.conf" && echo "hba_file='$2/pg_hba.conf'" >> "$2/postgresql.conf" &&
      echo "ident_file='$2/pg_ident.conf'" >> "$2/postgresql.conf" && echo "include_dir='conf.d'" >> "$2/postgresql.conf" &&
      echo "work_mem='5MB'" > "$2/conf.d/mine.conf" && echo "work_mem='6MB'" > "$2/conf.d/mine.bak"`;
    await cluster.runOk(['sh', '-c', move, 'sh', cluster.dataDir, etc]);
    const started = ['-D', etc, '-w', '-l', cluster.logFile, '-o', `-k ${cluster.socketDir}`];
    await cluster.runOk([join(cluster.postgres.bin, 'pg_ctl'), 'start', ...started]);
    try {
      const flags = ['-d', cluster.connectionString];
      const id = (await walholdOk(cluster, config, [...BACKUP, ...flags])).stdout.trim();
      const record = await recordOf(archived, id);
      const names = ['postgresql.conf', 'conf.d/mine.conf', 'pg_hba.conf', 'pg_ident.conf'].map((name) =>
        join(etc, name),
      );
      expect(record.config).toMatchObject({
        configFile: names[0],
        hbaFile: names[2],
        identFile: names[3],
        files: names,
      });
      const target = await cluster.place.folder('config');
      const archive = join(backupFolder(archived, id), 'config.tar.zst');
      await cluster.runOk(['sh', '-c', 'zstd -dc "$1" | tar -x -p -C "$2"', 'sh', archive, target]);
      for (const name of names) expect(await readFile(join(target, name), 'utf8')).toBe(await readFile(name, 'utf8'));
      await walholdOk(cluster, config, ['verify']);
    } finally {
      await cluster.runOk([join(cluster.postgres.bin, 'pg_ctl'), 'stop', '-D', cluster.dataDir, '-m', 'immediate']);
    }
  });

  test('is taken by a role with no more rights than it needs', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await cluster.query('create role keeper login in role pg_read_all_settings');
    const functions =
      cluster.postgres.major >= 15 ? ['pg_backup_start', 'pg_backup_stop'] : ['pg_start_backup', 'pg_stop_backup'];
    for (const name of functions) await cluster.query(`grant execute on function ${name} to keeper`);
    const flags = ['-d', `host=${cluster.socketDir} user=keeper dbname=postgres`];
    await walholdOk(cluster, config, [...BACKUP, ...flags]);
  });

  test('finds server and directory by PG* variables', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const env = { PGHOST: cluster.socketDir, PGUSER: 'postgres', PGDATA: cluster.dataDir };
    expect((await walhold(cluster, config, BACKUP, { env })).status).toBe(0);
  });

  test('of a promoted server stores the history file that the repository lacks', async () => {
    // A worker would store it.
    await using archived = await archivedCluster({ walhold: { push_ahead: 0 } });
    const { cluster, config } = archived;
    await cluster.configure({ archive_mode: 'off' });
    await cluster.start();
    await cluster.stop();
    await cluster.runOk(['touch', join(cluster.dataDir, 'standby.signal')]);
    await cluster.start();
    await cluster.promote();
    await cluster.stop();
    await cluster.configure({ archive_mode: 'on' });
    await cluster.start();
    await rm(join(archived.repository, 'wal'), { recursive: true, force: true });
    const { stdout, stderr } = await walholdOk(cluster, config, [...BACKUP, '-d', cluster.connectionString]);
    expect(stderr).toContain('stored 00000002.history');
    expect(await recordOf(archived, stdout.trim())).toMatchObject({ timeline: 2 });
    expect(await readdir(join(archived.repository, 'wal'))).toContain('00000002.history.zst');
  });
});

/** Makes files appear, grow and vanish until told. */
function churning(cluster: Cluster): () => Promise<void> {
  let over = false;
  const work = (async () => {
    for (let i = 0; !over; i++) {
      await cluster.query(`create table churn as select repeat('x', 1000) as v from generate_series(1, 5000)`);
      await cluster.query('create index on churn (v); delete from churn');
      await cluster.query('vacuum churn');
      await cluster.query('drop table churn');
      if (i % 5 === 0) await cluster.query('create database other').then(() => cluster.query('drop database other'));
    }
  })();
  return async () => {
    over = true;
    await work;
  };
}

/** Whatever the extraction of a backup and its manifest disagree about. */
async function faultsOf({ cluster }: Archived, folder: string): Promise<string[]> {
  const { files } = parseManifest(await readFile(join(folder, 'backup_manifest')));
  const script = `cd "$1" && find . -type f ! -name backup_manifest -exec sha256sum {} +`;
  const { stdout } = await cluster.runOk(['sh', '-c', script, 'sh', folder]);
  const found = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replace('  ./', ' '));
  const expected = files.map(({ path, checksum }) => `${checksum?.hex} ${path.toString()}`);
  const both = new Set([...found, ...expected]);
  return [...both].filter((line) => !found.includes(line) || !expected.includes(line));
}

interface ProgressEvent {
  phase: string;
  bytesDone: number;
  bytesTotal: number | null;
  rate: number | null;
  secondsLeft: number | null;
  at: string;
}

function progressOf(stderr: string): ProgressEvent[] {
  return stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ProgressEvent);
}

/** Of all threads of a process and of what it started. */
function niceOf(pid: number): number[] {
  return descendants(pid).flatMap((each) =>
    globSync(`/proc/${each}/task/*/stat`).map((path) =>
      Number(readFileSync(path, 'utf8').split(') ')[1]?.split(' ')[16]),
    ),
  );
}
