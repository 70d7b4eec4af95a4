import { readFile, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';
import { BLOCK_BYTES, linkId, putLink } from '../../support/made-chain.ts';
import { RestorePlace, SMALL_CLUSTER } from '../../support/restorable-backup.ts';

let place: RestorePlace;
beforeEach(async () => {
  place = await RestorePlace.create();
});
afterEach(async () => await place[Symbol.asyncDispose]());

const at = (name: string): string => join(place.target, name);
const DATABASES = [
  { oid: 1, name: 'template1', template: true },
  { oid: 5, name: 'postgres', template: false },
  { oid: 16_384, name: 'wanted', template: false },
  { oid: 16_385, name: 'other', template: false },
  { oid: 16_386, name: 'a template', template: true },
];
const { 'global/pg_control': CONTROL = '', ...OTHERS } = SMALL_CLUSTER;
const files = (oid: number): Record<string, string> => ({
  [`base/${oid}/PG_VERSION`]: '15\n',
  [`base/${oid}/pg_filenode.map`]: 'a map'.repeat(100),
  [`base/${oid}/1259`]: `of ${oid}`.repeat(3000),
});
const PARTS = [
  { ...OTHERS, ...files(16_384), 'global/1262': 'shared' },
  { 'base/16385/': '', ...files(16_385) },
  { 'base/16386/': '', ...files(16_386), 'base/17000/1': 'younger than the list' },
  { 'global/pg_control': CONTROL },
];

const putBackup = async (change: Partial<BackupRecord> = {}): Promise<void> => {
  await place.putBackup({ parts: PARTS }, (record) => ({ ...record, databases: DATABASES, ...change }));
};
const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

describe('restore --only-db', () => {
  it('brings the named database and what the server needs, and zeros without blocks for the others', async () => {
    await putBackup();
    const result = await place.restore('--only-db', 'wanted');
    expect(result).toMatchObject({ status: 0 });
    for (const [path, content] of Object.entries({ ...files(16_384), ...files(16_386), 'global/1262': 'shared' })) {
      expect(await readFile(at(path), 'utf8'), path).toBe(content);
    }
    expect(isZero(await readFile(at('base/16385/PG_VERSION')))).toBe(true);
    for (const path of ['base/16385/1259', 'base/16385/pg_filenode.map', 'base/17000/1']) {
      const { size, blocks, mode, uid } = await stat(at(path));
      expect(blocks, path).toBe(0);
      expect(size).toBe(path.endsWith('1259') ? 24_000 : path.endsWith('map') ? 500 : 21);
      expect(mode & 0o777).toBe(0o600);
      expect(uid).toBe((await stat(place.target)).uid);
      expect(isZero(await readFile(at(path)))).toBe(true);
    }
    expect(existsSync(at('backup_manifest'))).toBe(false);
    expect(result.stderr).toMatch(
      /1 databases hold nothing but zeros, and refuse connections: "other"\n.*DROP DATABASE/,
    );
    expect(await readFile(at('postgresql.auto.conf'), 'utf8')).not.toContain('ignore_invalid_pages');
  });

  it('may name several', async () => {
    await putBackup();
    const result = await place.restore('--only-db', 'wanted', '--only-db', 'other');
    expect(result.status).toBe(0);
    expect(result.stderr).not.toContain('hold nothing but zeros');
    expect(await readFile(at('base/16385/1259'), 'utf8')).toBe('of 16385'.repeat(3000));
    expect(isZero(await readFile(at('base/17000/1')))).toBe(true);
  });

  it('has a recovery pass over pages that the log may not bring whole', async () => {
    await place.putBackup({ parts: PARTS }, (record) => ({
      ...record,
      databases: DATABASES,
      server: { ...record.server, dataChecksums: false, walLogHints: false },
    }));
    expect(await place.restore('--only-db', 'wanted')).toMatchObject({ status: 0 });
    expect(await readFile(at('postgresql.auto.conf'), 'utf8')).toMatch(/^ignore_invalid_pages = 'on'$/m);
  });

  it('is for names that the backup has', async () => {
    await putBackup();
    const result = await place.restore('--only-db', 'nobody', '--dry-run');
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(
      /has no database "nobody"\n.*It has template1, postgres, wanted, other, a template\./,
    );
  });

  it('is for backups that say what they hold', async () => {
    await place.putBackup();
    const result = await place.restore('--only-db', 'wanted');
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(
      /does not say which databases it holds\n(.*\n)*.*Restore it without --only-db, or take a new/,
    );
    expect(await place.made()).toEqual([]);
  });

  it('takes what lies in a directory away, with --delta', async () => {
    await putBackup();
    expect(await place.restore()).toMatchObject({ status: 0 });
    expect(await place.restore('--delta', '--only-db', 'wanted')).toMatchObject({ status: 0 });
    expect(isZero(await readFile(at('base/16385/1259')))).toBe(true);
    expect((await stat(at('base/16385/1259'))).size).toBe(24_000);
    expect(await place.restore('--delta')).toMatchObject({ status: 0 });
    expect(await readFile(at('base/16385/1259'), 'utf8')).toBe('of 16385'.repeat(3000));
  });

  it('joins the chain of the named one alone', async () => {
    const pages = (...fills: number[]): Buffer => Buffer.concat(fills.map((fill) => Buffer.alloc(BLOCK_BYTES, fill)));
    const [before, after] = [pages(1, 2, 3, 4, 5), pages(1, 2, 9, 4, 5)];
    const relations = (content: Buffer): Record<string, Buffer> => ({
      'base/16384/1': content,
      'base/16385/1': content,
    });
    const change = (record: BackupRecord): BackupRecord => ({ ...record, databases: DATABASES });
    const full = await putLink(
      place.stored,
      { relations: relations(before) },
      { id: linkId(0), parent: undefined, segno: 2, change },
    );
    const changes = { 'base/16384/1': { before }, 'base/16385/1': { before } };
    await putLink(
      place.stored,
      { relations: relations(after), changes },
      { id: linkId(1), parent: full, segno: 3, change },
    );
    expect(await place.restore('--only-db', 'wanted')).toMatchObject({ status: 0 });
    expect((await readFile(at('base/16384/1'))).equals(after)).toBe(true);
    expect((await readFile(at('base/16385/1'))).equals(Buffer.alloc(before.length))).toBe(true);
    expect(await readFile(at('backup_label'), 'utf8')).not.toContain('INCREMENTAL');
  });
});
