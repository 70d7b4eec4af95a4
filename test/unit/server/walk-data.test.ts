import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walkData, type DataDirectory } from '../../../src/server/walk-data.ts';

const VERSION = 'PG_15_202209061';
let top = '';
let data = '';
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'walhold-walk-'));
  data = join(top, 'data');
  put('PG_VERSION', '15\n');
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function put(path: string, text = '', root = data): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const walk = (): Promise<DataDirectory> =>
  walkData(data, { versionDirectory: VERSION, signal: new AbortController().signal });
const paths = (found: DataDirectory): string[] => found.files.map(({ path }) => path.toString('latin1')).toSorted();

describe('a walk over a data directory', () => {
  it('finds files with their sizes, and directories before what lies in them', async () => {
    put('base/5/16384', 'x'.repeat(8192));
    put('base/5/16384_vm', 'x'.repeat(10));
    mkdirSync(join(data, 'pg_twophase'));
    const found = await walk();
    expect(found.files).toContainEqual({ path: 'base/5/16384', bytes: 8192 });
    expect(found.directories).toEqual(expect.arrayContaining(['base', 'base/5', 'pg_twophase']));
    expect(found.directories.indexOf('base')).toBeLessThan(found.directories.indexOf('base/5'));
  });

  it('leaves pg_control to the one who copies it last, and passes over what a backup does not hold', async () => {
    for (const path of ['global/pg_control', 'postmaster.pid', 'pg_wal/000000010000000000000001', 'standby.signal'])
      put(path);
    for (const path of ['base/5/t3_16400', 'base/5/pg_internal.init', 'pg_stat_tmp/global.stat', 'backup_label.old'])
      put(path);
    const found = await walk();
    expect(paths(found)).toEqual(['PG_VERSION', 'backup_label.old']);
    expect(found.directories).toEqual(expect.arrayContaining(['pg_wal', 'pg_stat_tmp']));
  });

  it('keeps only the init fork of an unlogged relation', async () => {
    for (const name of ['16384', '16384_fsm', '16384_init', '16384.1', '16385']) put(`base/5/${name}`);
    expect(paths(await walk())).toEqual(['PG_VERSION', 'base/5/16384_init', 'base/5/16385']);
  });

  it('follows the links of tablespaces, into this version’s folder only', async () => {
    put(`${VERSION}/5/16390`, 'here', join(top, 'fast'));
    put('PG_14_202107181/5/16390', 'of another server', join(top, 'fast'));
    mkdirSync(join(data, 'pg_tblspc'));
    symlinkSync(join(top, 'fast'), join(data, 'pg_tblspc/16389'));
    const found = await walk();
    expect(found.tablespaces).toEqual([{ oid: '16389', path: join(top, 'fast') }]);
    expect(paths(found)).toContain(`pg_tblspc/16389/${VERSION}/5/16390`);
    expect(paths(found)).toHaveLength(2);
    expect(found.directories).toEqual(
      expect.arrayContaining(['pg_tblspc', 'pg_tblspc/16389', `pg_tblspc/16389/${VERSION}/5`]),
    );
  });

  it('leaves out the tablespaces that it is not told of', async () => {
    mkdirSync(join(data, 'pg_tblspc'));
    for (const oid of ['16389', '16390']) {
      put(`${VERSION}/5/${oid}`, 'here', join(top, oid));
      symlinkSync(join(top, oid), join(data, 'pg_tblspc', oid));
    }
    const { signal } = new AbortController();
    const found = await walkData(data, { versionDirectory: VERSION, tablespaces: new Set(['16390', '1']), signal });
    expect(found.tablespaces).toEqual([{ oid: '16390', path: join(top, '16390') }]);
    expect(paths(found)).toEqual(['PG_VERSION', `pg_tblspc/16390/${VERSION}/5/16390`]);
    expect(found.directories.join(' ')).not.toContain('16389');
  });

  it('does not take a tablespace inside the data directory twice', async () => {
    put(`mine/${VERSION}/5/16390`, 'here');
    mkdirSync(join(data, 'pg_tblspc'));
    symlinkSync(join(data, 'mine'), join(data, 'pg_tblspc/16389'));
    expect(paths(await walk())).toEqual(['PG_VERSION', `pg_tblspc/16389/${VERSION}/5/16390`]);
  });

  it('takes the place of a link to pg_wal for a directory', async () => {
    mkdirSync(join(top, 'wal'));
    symlinkSync(join(top, 'wal'), join(data, 'pg_wal'));
    const found = await walk();
    expect(found.directories).toEqual(['pg_wal']);
    expect(found.special).toEqual([]);
  });

  it('reports what is neither file nor directory', async () => {
    symlinkSync('/etc/hostname', join(data, 'link'));
    const server = createServer().listen(join(data, 'socket'));
    await once(server, 'listening');
    try {
      expect((await walk()).special.map(String).toSorted()).toEqual(['link', 'socket']);
    } finally {
      server.close();
    }
  });

  it('keeps names that are not UTF-8 as bytes, and all below them', async () => {
    const odd = Buffer.from('636166e9', 'hex');
    mkdirSync(Buffer.concat([Buffer.from(`${data}/`), odd]));
    writeFileSync(Buffer.concat([Buffer.from(`${data}/`), odd, Buffer.from('/file')]), 'abc');
    const found = await walk();
    expect(found.files).toContainEqual({ path: Buffer.concat([odd, Buffer.from('/file')]), bytes: 3 });
    expect(found.directories).toEqual([odd]);
  });

  it('says which directory it could not read', async () => {
    await expect(
      walkData(join(top, 'none'), { versionDirectory: VERSION, signal: new AbortController().signal }),
    ).rejects.toThrow(
      expect.objectContaining({ code: 'io', message: expect.stringContaining(join(top, 'none')) as string }),
    );
  });
});
