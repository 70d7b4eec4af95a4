import { existsSync } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PlanJson } from '../../../src/commands/restore/plan-report.ts';
import { formatDrillRecord, type DrillRecord } from '../../../src/repository/drill-record.ts';
import { drillKey, partKey, type BackupId } from '../../../src/repository/layout.ts';
import { callCompanion, jsonOf } from '../../support/companion-call.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { nameOf, putSegments } from '../../support/made-segments.ts';
import { BACKUP_ID, RestorePlace, SMALL_CLUSTER } from '../../support/restorable-backup.ts';
import { inSegment, putBackup } from '../../support/stored-backup.ts';

let place: RestorePlace;
beforeEach(async () => {
  place = await RestorePlace.create();
});
afterEach(async () => await place[Symbol.asyncDispose]());

const textOf = async (name: string): Promise<string> => await readFile(join(place.target, name), 'utf8');

describe('restore', () => {
  it('brings every file back, for the owner alone', async () => {
    await place.putBackup();
    const result = await place.restore();
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(await place.made()).toEqual([
      'PG_VERSION',
      'backup_label',
      'backup_manifest',
      'base',
      'base/1',
      'base/1/1259',
      'base/1/empty',
      'global',
      'global/pg_control',
      'pg_tblspc',
      'pg_wal',
      'postgresql.auto.conf',
      'postgresql.conf',
      'recovery.signal',
    ]);
    for (const [path, content] of Object.entries(SMALL_CLUSTER)) {
      if (path === 'postgresql.auto.conf') continue;
      expect((await readFile(join(place.target, path))).equals(Buffer.from(content)), path).toBe(true);
    }
    for (const path of ['', ...(await place.made())]) {
      expect((await lstat(join(place.target, path))).mode & 0o077, path).toBe(0);
    }
    expect(result.stderr).toMatch(/next: pg_ctl -D .*target start/);
  });

  it('leaves long ranges of zeros as holes, wherever they lie', async () => {
    const dense = Buffer.alloc(300_001, 'x');
    const holes = Buffer.alloc(2 * 1024 * 1024);
    const contents = {
      middle: Buffer.concat([dense, holes, dense]),
      end: Buffer.concat([dense, holes]),
      both: Buffer.concat([holes, dense, holes]),
      all: holes,
    };
    await place.putBackup({ parts: [{ ...SMALL_CLUSTER, ...contents }] });
    expect(await place.restore()).toMatchObject({ status: 0 });
    for (const [path, content] of Object.entries(contents)) {
      expect((await readFile(join(place.target, path))).equals(content), path).toBe(true);
      expect((await stat(join(place.target, path))).blocks * 512, path).toBeLessThan(900_000);
    }
    expect((await stat(join(place.target, 'all'))).blocks).toBe(0);
  });

  it('makes the directory, and what is above it', async () => {
    await place.putBackup();
    const target = join(place.target, 'deeper', 'still');
    const made = await callCompanion(['restore', '-D', target, '--repo', `file://${place.stored.root}`]);
    if (process.getuid?.() === 0) {
      expect(made.stderr).toMatch(/could not tell who shall own the restored files/);
      return;
    }
    expect(made.status).toBe(0);
    expect((await stat(target)).mode & 0o777).toBe(0o700);
  });

  it.runIf(process.getuid?.() === 0)('gives everything to the owner of the directory when root runs it', async () => {
    await place.putBackup();
    await place.restore();
    const { uid, gid } = await stat(place.target);
    expect(uid).not.toBe(0);
    for (const path of await place.made()) {
      expect(await lstat(join(place.target, path)), path).toMatchObject({ uid, gid });
    }
  });

  it('writes the settings of the recovery, and drops those of an older one', async () => {
    await place.putBackup();
    await place.restore('--target-lsn', '0/600040', '--target-action', 'promote', '--target-exclusive');
    const conf = await textOf('postgresql.auto.conf');
    expect(conf.split('\n')).toEqual([
      "work_mem = '8MB'",
      '# written by walhold restore',
      expect.stringMatching(/^restore_command = '\/.*\/bin\/walhold-fetch --repo file:\/\/.* %f %p'$/),
      "recovery_target_timeline = '1'",
      "archive_mode = 'off'",
      "recovery_target_action = 'promote'",
      "recovery_target_inclusive = 'off'",
      "recovery_target_lsn = '0/600040'",
      '',
    ]);
  });

  it('makes a standby that follows the latest timeline', async () => {
    await place.putBackup();
    await place.restore('--standby', '--archive-mode', 'preserve');
    expect(await textOf('postgresql.auto.conf')).toMatch(/recovery_target_timeline = 'latest'/);
    expect(await textOf('postgresql.auto.conf')).not.toMatch(/archive_mode/);
    expect(await place.made()).toContain('standby.signal');
    expect(await place.made()).not.toContain('recovery.signal');
  });

  it('overrules recovery targets that stand in postgresql.conf', async () => {
    const changed = { ...SMALL_CLUSTER, 'postgresql.conf': "recovery_target_name = 'a'\nrecovery_target_xid = '7'\n" };
    await place.putBackup({ parts: [changed] });
    await place.restore('--target-lsn', '0/600040');
    const conf = await textOf('postgresql.auto.conf');
    expect(conf).toMatch(
      /recovery_target_xid = ''\nrecovery_target_name = ''\nrestore_command[\s\S]*recovery_target_lsn/,
    );
  });

  it('quotes what a shell or the server would read twice', async () => {
    await place.putBackup();
    const config = join(place.root, "a 'file' of 100%.conf");
    await writeFile(config, `repo = 'file://${place.stored.root}'\n`);
    const made = await callCompanion(['restore', '-D', place.target, '--config', config]);
    expect(made).toMatchObject({ status: 0 });
    expect(await textOf('postgresql.auto.conf')).toContain(
      `--config ''${place.root}/a ''\\\\''''file''\\\\'''' of 100%%.conf'' %f %p'`,
    );
  });
});

describe('tablespaces', () => {
  const path = (name: string): string => join(place.root, name);
  const withSpace = async (): Promise<void> => {
    const map = { tablespace_map: `16400 ${path('old')}\n`, 'pg_tblspc/16400/PG_15_202209061/1/2': 'in a tablespace' };
    await place.putBackup({
      parts: [{ ...SMALL_CLUSTER, ...map }],
      tablespaces: [{ oid: '16400', path: path('old') }],
    });
    if (process.getuid?.() === 0) await chmod(place.root, 0o777);
  };

  it('go where they were', async () => {
    await withSpace();
    expect(await place.restore()).toMatchObject({ status: 0 });
    expect(await readlink(join(place.target, 'pg_tblspc/16400'))).toBe(path('old'));
    expect(await readFile(join(path('old'), 'PG_15_202209061/1/2'), 'utf8')).toBe('in a tablespace');
    expect((await stat(path('old'))).mode & 0o777).toBe(0o700);
    expect(await textOf('tablespace_map')).toBe(`16400 ${path('old')}\n`);
  });

  it('go where they are mapped, which the server learns from its map', async () => {
    await withSpace();
    expect(await place.restore('-T', `${path('old')}=${path('new')}`)).toMatchObject({ status: 0 });
    expect(await readlink(join(place.target, 'pg_tblspc/16400'))).toBe(path('new'));
    expect(existsSync(path('old'))).toBe(false);
    expect(await textOf('tablespace_map')).toBe(`16400 ${path('new')}\n`);
  });

  it('that were made while the backup began are not in its map, and come to be', async () => {
    const member = { 'pg_tblspc/16400/PG_15_202209061/1/2': 'in a tablespace' };
    const tablespaces = [{ oid: '16400', path: path('old') }];
    await place.putBackup({ parts: [{ ...SMALL_CLUSTER, ...member }], tablespaces });
    if (process.getuid?.() === 0) await chmod(place.root, 0o777);
    expect(await place.restore()).toMatchObject({ status: 0 });
    expect(await readFile(join(path('old'), 'PG_15_202209061/1/2'), 'utf8')).toBe('in a tablespace');
    expect(await textOf('tablespace_map')).toBe(`16400 ${path('old')}\n`);
  });

  it('that were dropped while the backup began have their place for a server that drops them again', async () => {
    const map = { tablespace_map: `16400 ${path('old')}\n` };
    await place.putBackup({
      parts: [{ ...SMALL_CLUSTER, ...map }],
      tablespaces: [{ oid: '16400', path: path('old') }],
    });
    if (process.getuid?.() === 0) await chmod(place.root, 0o777);
    expect(await place.restore('-T', `${path('old')}=${path('new')}`)).toMatchObject({ status: 0 });
    expect(await readdir(path('new'))).toEqual([]);
    expect(await readlink(join(place.target, 'pg_tblspc/16400'))).toBe(path('new'));
    expect(await textOf('tablespace_map')).toBe(`16400 ${path('new')}\n`);
  });

  it('must be there to be mapped', async () => {
    await withSpace();
    const result = await place.restore('-T', '/nowhere=/somewhere');
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/the backup has no tablespace at \/nowhere\n.*Its tablespaces lie at: .*old/);
  });

  it('never overlap the data directory', async () => {
    await withSpace();
    const result = await place.restore('-T', `${path('old')}=${place.target}/inside`);
    expect(result).toMatchObject({ status: 1 });
    expect(result.stderr).toMatch(/it overlaps/);
  });
});

describe('a directory that cannot be filled is left as it is:', () => {
  const refused = async (message: RegExp): Promise<void> => {
    await place.putBackup();
    const before = await place.made();
    const result = await place.restore();
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(1);
    expect(await place.made()).toEqual(before);
  };

  it('one that is not empty', async () => {
    await writeFile(join(place.target, 'precious'), 'x');
    await refused(/the directory .* is not empty\n.*nothing that exists is removed/);
  });

  it('one in which a server runs', async () => {
    await writeFile(join(place.target, 'postmaster.pid'), `${process.pid}\n${place.target}\n1700000000\n5432\n`);
    await refused(/a server is running in/);
  });

  it('a mount point', async () => {
    await mkdir(join(place.target, 'lost+found'));
    await refused(/use a directory below it/);
  });

  it('a file', async () => {
    await rm(place.target, { recursive: true });
    await writeFile(place.target, 'x');
    await place.putBackup();
    expect((await place.restore()).stderr).toMatch(/is not a directory/);
  });

  it('one that an earlier restore left half done', async () => {
    await place.putBackup();
    await place.stored.put(partKey(BACKUP_ID as BackupId, 2), 'garbage');
    expect(await place.restore()).toMatchObject({ status: 1 });
    expect(await place.made()).not.toContain('global/pg_control');
    await refused(/holds what an earlier restore left when it did not end/);
  });
});

describe('with several repositories', () => {
  let second: FileRepository;
  beforeEach(async () => {
    second = await FileRepository.create(2);
    await putSegments(second, 2, 8);
    const { 'global/pg_control': control = '', ...others } = SMALL_CLUSTER;
    const parts = [others, { 'global/pg_control': control }];
    await putBackup(second, { startLsn: inSegment(3), stopLsn: inSegment(4, 400), parts });
    await place.putBackup();
  });
  afterEach(async () => await second[Symbol.asyncDispose]());
  const both = (): string[] => ['--repo2', `file://${second.root}`];
  const key = partKey(BACKUP_ID as BackupId, 1);

  it('a damaged part is read from the next one, and it is said', async () => {
    const bytes = await readFile(join(place.stored.root, key));
    bytes.writeUInt8(bytes.readUInt8(200) ^ 4, 200);
    await place.stored.put(key, bytes);
    const result = await place.restore(...both());
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(new RegExp(`warning: ${place.stored.repository.url}/${key} is read from elsewhere`));
    expect(await textOf('base/1/1259')).toBe(SMALL_CLUSTER['base/1/1259']);
  });

  it('so is a missing one, a damaged manifest and a damaged record', async () => {
    await rm(join(place.stored.root, key));
    await place.stored.put(`backup/${BACKUP_ID}/backup_manifest.zst`, 'garbage');
    await place.stored.put(`backup/${BACKUP_ID}/backup.json`, 'garbage');
    const result = await place.restore(...both());
    expect(result.status).toBe(0);
    expect(await textOf('base/1/1259')).toBe(SMALL_CLUSTER['base/1/1259']);
  });

  it('one that is away is passed over', async () => {
    await rename(place.stored.root, `${place.stored.root}.away`);
    const result = await place.restore(...both());
    await rename(`${place.stored.root}.away`, place.stored.root);
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/repository 1 .* could not be read/);
  });

  it('what is damaged in both is not restored', async () => {
    await place.stored.put(key, 'garbage');
    await second.put(key, 'garbage');
    const result = await place.restore(...both());
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/also file:/);
    expect(existsSync(join(place.target, 'global/pg_control'))).toBe(false);
  });

  it('one that lacks some of the WAL is named', async () => {
    await rm(join(second.root, `wal/00000001/0000000100000000/${nameOf(5)}.zst`));
    const result = await place.restore(...both());
    expect(result.stderr).toMatch(new RegExp(`repository 2 .* lacks 1 of these segments, the first is ${nameOf(5)}`));
    expect(result.status).toBe(0);
  });
});

function drillOf(measured: Pick<DrillRecord, 'restoreSeconds' | 'replaySeconds' | 'bytes' | 'walBytes'>): DrillRecord {
  return {
    systemId: SYSTEM_ID,
    at: new Date('2026-11-22T18:00:00Z'),
    by: 'a test',
    ok: true,
    backup: BACKUP_ID as BackupId,
    target: 'the end of the WAL',
    targetReached: true,
    rtoSeconds: undefined,
    lastCommitAt: undefined,
    rpoSeconds: undefined,
    checks: [],
    ...measured,
  };
}

describe('the plan', () => {
  it('is printed, and nothing is written', async () => {
    await place.putBackup();
    const result = await place.restore('--dry-run');
    expect(result.status).toBe(0);
    expect(result.stdout).toMatch(
      /^target: the end of the WAL\nbackup: 20261122T174500Z-full, the newest that can be used, .*\ntimelines: 1, the newest that descends .*\nWAL: /,
    );
    expect(await place.made()).toEqual([]);
  });

  it('needs no directory, and has a form for programs', async () => {
    await place.putBackup();
    const argv = ['restore', '--plan', '--json', '--repo', `file://${place.stored.root}`];
    const result = await callCompanion(argv);
    expect(result.status).toBe(0);
    expect(jsonOf(result)).toMatchObject({
      reachable: true,
      backup: BACKUP_ID,
      chain: [BACKUP_ID],
      timelines: [1],
      walFrom: nameOf(3),
      walTo: nameOf(8),
      bytes: Object.values(SMALL_CLUSTER).reduce((sum, one) => sum + one.length, 0),
      nearest: null,
      estimate: null,
    });
    expect((await place.restore('--dry-run')).stdout).toMatch(
      /\nestimated time: not known, no drill has measured it .*\n$/,
    );
  });

  it('estimates how long it will take by a drill that moved more', async () => {
    const { sizeBytes } = await place.putBackup();
    const whole = jsonOf<PlanJson>(await place.restore('--dry-run', '--json'));
    const objects = [3, 4, 5, 6, 7, 8].map((segno) => `wal/00000001/0000000100000000/${nameOf(segno)}.zst`);
    const sizes = await Promise.all(objects.map(async (key) => (await stat(join(place.stored.root, key))).size));
    const walBytes = 3 * sizes.reduce((sum, one) => sum + one, 0);
    const drill = drillOf({ restoreSeconds: 400, replaySeconds: 63, bytes: 2 * sizeBytes, walBytes });
    await place.stored.put(drillKey(drill.at), formatDrillRecord(drill));
    const estimate = {
      restoreSeconds: 200,
      replaySeconds: 21,
      totalSeconds: 221,
      basis: { drill: 'drill/20261122T180000Z.json', at: '2026-11-22T18:00:00.000Z', backup: BACKUP_ID },
    };
    expect(jsonOf(await place.restore('--dry-run', '--json'))).toEqual({ ...whole, estimate });
    const people = await place.restore('--dry-run');
    expect(people.stdout).toMatch(
      /\nestimated time: 3 min 41 s \(restore 3 min 20 s, replay 21 s\), in proportion to /,
    );
  });

  it('fails with what can be reached before anything is written', async () => {
    await place.putBackup();
    const result = await place.restore('--target-time', '2026-11-22 17:00:00+00', '--plan', '--json');
    expect(result.status).toBe(1);
    expect(jsonOf(result)).toMatchObject({
      reachable: false,
      backup: null,
      nearest: { before: null, after: { time: '2026-11-22T17:46:00.000000Z', lsn: '0/400190' } },
      estimate: null,
      missing: null,
    });
    expect(result.stderr).toMatch(/could not plan a recovery to 2026-11-22 17:00:00.000000\+00:00\n.*ended after/);
    expect(result.stderr).toMatch(
      /The nearest that can be reached: 2026-11-22T17:46:00.000000Z \(LSN 0\/400190\) after it/,
    );
    expect((await place.restore('--target-lsn', '0/900000')).status).toBe(1);
    expect(await place.made()).toEqual([]);
  });

  it('names a hole, and goes no further than told', async () => {
    await place.putBackup();
    await rm(join(place.stored.root, `wal/00000001/0000000100000000/${nameOf(6)}.zst`));
    const result = await place.restore();
    expect(result.status).toBe(1);
    expect(jsonOf(await place.restore('--plan', '--json'))).toMatchObject({
      reachable: false,
      missing: { first: nameOf(6), last: nameOf(6) },
      nearest: { before: { lsn: '0/600000' }, after: null },
    });
    expect(result.stderr).toMatch(
      new RegExp(`WAL is missing from segment ${nameOf(6)} on; the next that is stored is ${nameOf(7)}`),
    );
    expect(await place.made()).toEqual([]);
    expect(await place.restore('--end-at-gap')).toMatchObject({ status: 0 });
    expect(await textOf('postgresql.auto.conf')).toContain(` --allow-gap ${nameOf(6)} %f %p'`);
  });
});

describe('bad arguments are one clear line:', () => {
  const table: [string, string[], RegExp][] = [
    ['two targets', ['--target-lsn', '0/1', '--target-name', 'x'], /more than one recovery target/],
    ['a time that is none', ['--target-time', 'yesterday'], /bad value for --target-time/],
    ['an LSN that is none', ['--target-lsn', '12'], /bad value for --target-lsn/],
    ['a transaction that is none', ['--target-xid', 'x'], /bad value for --target-xid/],
    ['an action without a target', ['--target-action', 'promote'], /--target-action needs a target/],
    ['an action that is none', ['--target-name', 'x', '--target-action', 'dance'], /bad value for --target-action/],
    ['exclusive without a target', ['--target-exclusive'], /--target-exclusive needs/],
    ['a timeline that is none', ['--target-timeline', '0'], /bad value for --target-timeline/],
    ['a backup that is none', ['--backup', '../x'], /bad value for --backup/],
    ['a mapping that is none', ['-T', 'a=b'], /bad value for -T/],
    ['a standby of one database', ['--standby', '--only-db', 'x'], /--only-db does not go with --standby/],
    ['an archive mode that is none', ['--archive-mode', 'on'], /bad value for --archive-mode/],
  ];
  it.each(table)('%s', async (_, flags, message) => {
    const result = await place.restore(...flags);
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(2);
  });

  it('a backup that does not exist', async () => {
    await place.putBackup();
    const result = await place.restore('--backup', '20200101T000000Z-full');
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/there is no backup 20200101T000000Z-full/);
  });
});

describe('restore --as-of', () => {
  const moment = '2026-11-22 18:00:00+01';

  beforeEach(async () => {
    await place.putBackup();
    const keys = await readdir(place.stored.root, { recursive: true, withFileTypes: true });
    for (const { parentPath, name } of keys.filter((one) => one.isFile())) {
      const late = name.startsWith(nameOf(7)) || name.startsWith(nameOf(8));
      const time = new Date(late ? '2026-11-22T17:00:01Z' : '2026-11-22T17:00:00Z');
      await utimes(join(parentPath, name), time, time);
    }
  });

  it('plans with what was stored by then', async () => {
    const plan = async (...flags: string[]): Promise<unknown> =>
      jsonOf<{ walTo: string }>(await place.restore('--dry-run', '--json', ...flags)).walTo;
    expect(await plan()).toBe(nameOf(8));
    expect(await plan('--as-of', moment)).toBe(nameOf(6));
  });

  it('has the server recover as of then, with its offset written out, and not archive', async () => {
    const result = await place.restore('--as-of', moment);
    expect(result.status).toBe(0);
    const conf = await textOf('postgresql.auto.conf');
    expect(conf).toMatch(
      /^restore_command = '.*walhold-fetch .*--as-of ''2026-11-22 18:00:00\.000000\+01:00'' %f %p'$/m,
    );
    expect(conf).toMatch(/^archive_mode = /m);
    expect(result.stderr).toContain('archive mode: off (with --as-of it is not seen who has archived since');
  });

  it('finds no backup of a moment before it', async () => {
    const result = await place.restore('--dry-run', '--as-of', '2026-11-22 17:00:00+01');
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('is not, or no longer, a repository');
  });
});
