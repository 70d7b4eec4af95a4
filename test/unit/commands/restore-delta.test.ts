import { existsSync } from 'node:fs';
import { chmod, chown, link, lstat, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { partKey, type BackupId } from '../../../src/repository/layout.ts';
import { jsonOf, type CompanionResult } from '../../support/companion-call.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';
import { BLOCK_BYTES, linkId, putLink } from '../../support/made-chain.ts';
import { controlFile } from '../../support/pretend-cluster.ts';
import { BACKUP_ID, RestorePlace, SMALL_CLUSTER } from '../../support/restorable-backup.ts';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';

let place: RestorePlace;
beforeEach(async () => {
  place = await RestorePlace.create();
});
afterEach(async () => await place[Symbol.asyncDispose]());

const at = (name: string): string => join(place.target, name);
const delta = async (...flags: string[]): Promise<CompanionResult> => await place.restore('--delta', ...flags);
const contentOf = async (name: string): Promise<string> => await readFile(at(name), 'latin1');

interface Done {
  movedBytes: number;
  delta: Record<'kept' | 'written' | 'removed', { files: number; bytes: number }>;
}

/** Restored once, and then as a server leaves it that was stopped. */
async function used(): Promise<void> {
  await place.putBackup({ parts: PARTS });
  expect(await place.restore()).toMatchObject({ status: 0 });
  await rm(at('recovery.signal'));
}

const { 'global/pg_control': CONTROL = '', ...OTHERS } = SMALL_CLUSTER;
const LARGE = Buffer.from(new Uint8Array(3 * 1024 * 1024).map((_, index) => Math.imul(index, 2_654_435_761) >>> 13));
const PARTS = [
  OTHERS,
  { 'base/1/': '', 'base/1/16384': LARGE },
  { 'base/2/1259': 'second' },
  { 'global/pg_control': CONTROL },
];

describe('restore --delta', () => {
  it('reads and writes only what differs, removes what is not in the backup, and tells so', async () => {
    await used();
    const before = await stat(at('base/1/16384'));
    await writeFile(at('base/1/1259'), 'b table'.repeat(3000));
    await writeFile(at('base/1/9999'), 'younger than the backup');
    await mkdir(at('base/7/deeper'), { recursive: true });
    await writeFile(at('base/7/deeper/file'), 'x');
    await writeFile(at('pg_wal/000000010000000000000004'), 'old log');
    await rm(at('base/2'), { recursive: true });
    const result = await delta('--json');
    expect(result).toMatchObject({ status: 0 });
    const { movedBytes, delta: counts } = jsonOf<Done>(result);
    expect(movedBytes).toBeLessThan(20_000);
    expect(counts.kept.bytes).toBeGreaterThan(LARGE.length);
    expect(counts.removed.files).toBe(4);
    for (const gone of ['base/1/9999', 'base/7', 'pg_wal/000000010000000000000004', 'walhold_restore_incomplete']) {
      expect(existsSync(at(gone)), gone).toBe(false);
    }
    for (const [path, content] of PARTS.flatMap((files) => Object.entries(files))) {
      if (path.endsWith('/') || path === 'postgresql.auto.conf') continue;
      expect((await readFile(at(path))).equals(Buffer.from(content)), path).toBe(true);
    }
    expect((await stat(at('base/1/16384'))).ino).toBe(before.ino);
    expect(existsSync(at('recovery.signal'))).toBe(true);
  });

  it('plans the same, and changes nothing', async () => {
    await used();
    await writeFile(at('base/1/1259'), 'c');
    await writeFile(at('base/1/9999'), 'xy');
    const made = await place.made();
    const result = await delta('--dry-run', '--json');
    expect(result.status).toBe(0);
    expect(jsonOf<Done>(result).delta).toMatchObject({ removed: { files: 2 }, written: { files: 3 } });
    const text = (await delta('--dry-run')).stdout;
    expect(text).toMatch(/would be kept\n3 files \(.*\) would be written\n2 files \(.*\) would be removed\n$/);
    expect(await place.made()).toEqual(made);
    expect(await contentOf('base/1/1259')).toBe('c');
  });

  it('gives files that stay the owner and the modes of restored ones', async () => {
    await used();
    await chmod(at('base/1/16384'), 0o777);
    await chmod(at('base'), 0o777);
    if (process.getuid?.() === 0) await chown(at('base/1/16384'), 0, 0);
    expect(await delta()).toMatchObject({ status: 0 });
    const { uid, mode } = await stat(at('base/1/16384'));
    expect(mode & 0o777).toBe(0o640);
    expect(uid).toBe((await stat(place.target)).uid);
    expect((await stat(at('base'))).mode & 0o777).toBe(0o750);
  });

  it('is an ordinary restore where nothing lies', async () => {
    await place.putBackup();
    const result = await delta('--json');
    expect(result).toMatchObject({ status: 0 });
    expect(jsonOf<Done>(result).delta).toBeUndefined();
    expect(await place.made()).toContain('global/pg_control');
  });

  it('goes on from what an interrupted one has left, which no server starts on', async () => {
    await used();
    await writeFile(at('base/1/1259'), 'changed');
    const good = await readFile(join(place.stored.root, partKey(BACKUP_ID as BackupId, 3)));
    await rm(at('base/2/1259'));
    await place.stored.put(partKey(BACKUP_ID as BackupId, 3), 'garbage');
    const broken = await delta();
    expect(broken.status).toBe(1);
    expect(broken.stderr).toMatch(/is incomplete, and no server can start on it\n.*Run the same again with --delta/);
    expect(existsSync(at('global/pg_control'))).toBe(false);
    await place.stored.put(partKey(BACKUP_ID as BackupId, 3), good);
    expect((await place.restore()).stderr).toMatch(/left when it did not end\n.*--delta/);
    const result = await delta('--json');
    expect(result).toMatchObject({ status: 0 });
    expect(jsonOf<Done>(result).delta.kept.bytes).toBeGreaterThan(LARGE.length);
    expect(await contentOf('base/2/1259')).toBe('second');
    expect(existsSync(at('global/pg_control'))).toBe(true);
  });

  it('goes on from a first restore that was interrupted', async () => {
    await place.putBackup({ parts: PARTS });
    const key = partKey(BACKUP_ID as BackupId, 3);
    const good = await readFile(join(place.stored.root, key));
    await place.stored.put(key, 'garbage');
    expect(await place.restore()).toMatchObject({ status: 1 });
    await place.stored.put(key, good);
    expect(await delta()).toMatchObject({ status: 0 });
    expect(await contentOf('base/2/1259')).toBe('second');
  });
});

describe('restore --delta never touches', () => {
  it('what a link in the directory leads to', async () => {
    await used();
    const outside = join(place.root, 'outside');
    await mkdir(join(outside, 'sub'), { recursive: true });
    await writeFile(join(outside, 'sub/precious'), 'x');
    await writeFile(join(outside, '1259'), SMALL_CLUSTER['base/1/1259'] ?? '');
    await symlink(outside, at('base/77'));
    await symlink(join(outside, 'sub/precious'), at('base/1/9999'));
    await rm(at('base/1/empty'));
    await symlink(join(outside, 'sub/precious'), at('base/1/empty'));
    await rm(at('pg_wal'), { recursive: true });
    await symlink(outside, at('pg_wal'));
    await rename(at('base/1'), join(place.root, 'moved'));
    await symlink(join(place.root, 'moved'), at('base/1'));
    expect(await delta()).toMatchObject({ status: 0 });
    expect(await readFile(join(outside, 'sub/precious'), 'utf8')).toBe('x');
    expect(existsSync(join(outside, '1259'))).toBe(true);
    expect(existsSync(join(place.root, 'moved/16384'))).toBe(true);
    for (const path of ['base/1', 'pg_wal']) expect((await lstat(at(path))).isDirectory(), path).toBe(true);
    expect((await lstat(at('base/1/empty'))).isFile()).toBe(true);
    expect(existsSync(at('base/77'))).toBe(false);
  });

  it('a second name of a file that is replaced', async () => {
    await used();
    await writeFile(at('base/1/1259'), 'of the snapshot');
    await link(at('base/1/1259'), join(place.root, 'snapshot'));
    expect(await delta()).toMatchObject({ status: 0 });
    expect(await readFile(join(place.root, 'snapshot'), 'utf8')).toBe('of the snapshot');
  });

  const refused = async (message: RegExp, ...flags: string[]): Promise<void> => {
    const before = await place.made();
    const result = await delta(...flags);
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(1);
    expect(await place.made()).toEqual(before);
    expect(existsSync(at('walhold_restore_incomplete'))).toBe(false);
  };

  it('a directory in which a server runs', async () => {
    await used();
    await writeFile(at('postmaster.pid'), `${process.pid}\n${place.target}\n1700000000\n5432\n`);
    await refused(/a server is running in .* \(process [0-9]+\)\n.*Stop it first/);
  });

  it('the directory of another cluster', async () => {
    await used();
    await writeFile(at('global/pg_control'), controlFile(SYSTEM_ID + 1n, 1024 * 1024));
    await refused(/belongs to another cluster\n.*system identifier is [0-9]+, that of the backup is [0-9]+/);
  });

  it('what is no data directory', async () => {
    await place.putBackup();
    await writeFile(at('letters'), 'x');
    await refused(/is no data directory: it has no global\/pg_control/);
    await mkdir(at('global'));
    await writeFile(at('global/pg_control'), 'x'.repeat(8192));
    await refused(/could not tell whose .* is|belongs to another cluster/);
  });

  it('WAL that is stored nowhere else', async () => {
    await used();
    await mkdir(at('pg_wal/archive_status'), { recursive: true });
    await writeFile(at('pg_wal/archive_status/000000010000000000000009.ready'), '');
    await refused(
      /holds WAL that is not archived yet.*\n.*1 files, the first is 000000010000000000000009\n.*walhold wal push -D/,
    );
  });
});

describe('restore --delta with tablespaces', () => {
  const old = (): string => join(place.root, 'old');
  const VERSION = 'PG_15_202209061';

  beforeEach(async () => {
    if (process.getuid?.() === 0) await chmod(place.root, 0o777);
    const map = { tablespace_map: `16400 ${old()}\n`, [`pg_tblspc/16400/${VERSION}/1/2`]: 'in a tablespace' };
    await place.putBackup({ parts: [{ ...SMALL_CLUSTER, ...map }], tablespaces: [{ oid: '16400', path: old() }] });
    expect(await place.restore('-T', `${old()}=${old()}2`)).toMatchObject({ status: 0 });
  });

  it('works in those that the directory links to, in its own folder of them alone', async () => {
    const space = `${old()}2`;
    await writeFile(join(space, VERSION, '1/3'), 'younger');
    await writeFile(join(space, VERSION, '1/2'), 'changed');
    await mkdir(join(space, 'PG_14_202107181'));
    await writeFile(join(space, 'PG_14_202107181/other'), 'of another version');
    const result = await delta('--json');
    expect(result).toMatchObject({ status: 0 });
    expect(await readFile(join(space, VERSION, '1/2'), 'utf8')).toBe('in a tablespace');
    expect(existsSync(join(space, VERSION, '1/3'))).toBe(false);
    expect(existsSync(join(space, 'PG_14_202107181/other'))).toBe(true);
    expect(existsSync(old())).toBe(false);
    expect(await readFile(at('tablespace_map'), 'utf8')).toBe(`16400 ${space}\n`);
  });

  it('fills no other place that is not empty', async () => {
    await mkdir(old());
    await writeFile(join(old(), 'precious'), 'x');
    const result = await delta('-T', `${old()}=${old()}`);
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/the tablespace directory .*old is not empty/);
    expect(existsSync(at('global/pg_control'))).toBe(true);
  });

  it('refuses one that the backup does not know, since a recovery could take its files for its own', async () => {
    await symlink(join(place.root, 'young'), at('pg_tblspc/16999'));
    const result = await delta();
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/has tablespace 16999 at .*young, which the backup does not have\n.*Move what lies/);
    expect(existsSync(at('global/pg_control'))).toBe(true);
  });
});

describe('restore --delta of a chain', () => {
  const pages = (...fills: number[]): Buffer => Buffer.concat(fills.map((fill) => Buffer.alloc(BLOCK_BYTES, fill)));
  const A = pages(1, 2, 3, 4);
  const B = pages(1, 9, 3, 4, 5);
  const LONG_ONE = Buffer.concat([...Array(600).keys()].map((n) => Buffer.alloc(BLOCK_BYTES, `${n * 7919} `)));

  beforeEach(async () => {
    const records: BackupRecord[] = [];
    const links = [
      { relations: { 'base/1/100': A, 'base/1/101': LONG_ONE, 'base/1/102': A, 'base/1/103': B } },
      {
        relations: { 'base/1/100': B, 'base/1/101': LONG_ONE, 'base/1/102': A, 'base/1/103': pages(1, 9) },
        changes: {
          'base/1/100': { before: A },
          'base/1/101': { before: LONG_ONE },
          'base/1/102': { before: A },
          'base/1/103': { before: B },
        },
      },
    ];
    for (const [n, contents] of links.entries()) {
      records.push(await putLink(place.stored, contents, { id: linkId(n), parent: records.at(-1), segno: 2 + n }));
    }
    expect(await place.restore()).toMatchObject({ status: 0 });
  });

  it('keeps what no link has changed, and joins the rest anew', async () => {
    await writeFile(at('base/1/102'), pages(1, 2, 3, 5));
    // As the base has it, and longer than the joined one.
    await writeFile(at('base/1/103'), B);
    const { ino } = await stat(at('base/1/101'));
    const result = await delta('--json');
    expect(result).toMatchObject({ status: 0 });
    expect((await readFile(at('base/1/100'))).equals(B)).toBe(true);
    expect((await readFile(at('base/1/101'))).equals(LONG_ONE)).toBe(true);
    expect((await readFile(at('base/1/102'))).equals(A)).toBe(true);
    expect((await readFile(at('base/1/103'))).equals(pages(1, 9))).toBe(true);
    expect((await stat(at('base/1/101'))).ino).toBe(ino);
    expect(jsonOf<Done>(result).delta.kept.bytes).toBeGreaterThanOrEqual(LONG_ONE.length);
    const manifest = await contentOf('backup_manifest');
    expect(manifest).toContain('"base/1/101"');
    expect(manifest).not.toContain('INCREMENTAL');
  });
});
