import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  findDataDirectory,
  hasStandbySignal,
  readControlFile,
  readPostmaster,
} from '../../../src/server/data-directory.ts';
import { readLocalHistories } from '../../../src/server/local-histories.ts';
import { readTargetTimeline } from '../../../src/server/recovery-settings.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';
import { PretendCluster } from '../../support/pretend-cluster.ts';

let top: string;
let data: string;
let cluster: PretendCluster;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'walhold-data-'));
  data = join(top, 'data');
  cluster = await PretendCluster.create(data);
});
afterEach(async () => await rm(top, { recursive: true, force: true }));

describe('the data directory', () => {
  test.each([
    ['pg_wal/X', () => data, () => data],
    ['pg_wal/deep/er/X', () => data, () => data],
    ['', () => '/', () => undefined],
    ['elsewhere/X', () => data, () => data],
  ])('of %s is the nearest above it, else the working directory', async (path, cwd, expected) => {
    expect(await findDataDirectory(path === '' ? join(top, 'X') : path, cwd())).toBe(expected());
  });

  test('of a full path is found from anywhere', async () => {
    expect(await findDataDirectory(join(data, 'pg_wal/X'), '/')).toBe(data);
  });

  test('is found by the path as it is written, through a pg_wal that is a link', async () => {
    await rm(join(data, 'pg_wal'), { recursive: true });
    await mkdir(join(top, 'wal'));
    await symlink(join(top, 'wal'), join(data, 'pg_wal'));
    expect(await findDataDirectory('pg_wal/X', data)).toBe(data);
  });

  test('tells the cluster by its pg_control, of a later major too', async () => {
    expect(await readControlFile(data)).toMatchObject({ systemId: SYSTEM_ID, segmentBytes: 1024 * 1024 });
    const later = Buffer.alloc(8192);
    later.writeBigUInt64LE(5n, 0);
    later.writeUInt32LE(1900, 8);
    await cluster.put('global/pg_control', later);
    expect(await readControlFile(data)).toEqual({ systemId: 5n });
  });

  test('without a pg_control tells nothing, with a torn one fails', async () => {
    await cluster.put('global/pg_control', Buffer.alloc(8192, 0x14).fill('\x14\x05\0\0', 8, 12, 'latin1'));
    await expect(readControlFile(data)).rejects.toMatchObject({ code: 'server' });
    await rm(join(data, 'global/pg_control'));
    expect(await readControlFile(data)).toBeUndefined();
  });

  test('tells a standby by its file', async () => {
    expect(await hasStandbySignal(data)).toBe(false);
    await cluster.put('standby.signal', '');
    expect(await hasStandbySignal(data)).toBe(true);
  });

  test.each([
    ['123\n/data\n1700000000\n5432\n', { pid: 123, run: '123:1700000000' }],
    ['123\n', undefined],
    ['', undefined],
    ['-1\n/data\n1700000000\n', undefined],
    ['x\n/data\n1700000000\n', undefined],
  ])('names its postmaster: %j', async (text, expected) => {
    await cluster.put('postmaster.pid', text);
    expect(await readPostmaster(data)).toEqual(expected);
  });
});

describe('the timeline that recovery follows', () => {
  test.each([
    [undefined, undefined, 'latest'],
    ["recovery_target_timeline = '3'", undefined, 3],
    ["recovery_target_timeline = '3'", "recovery_target_timeline = 'current'", 'current'],
    ["recovery_target_timeline = '3'\nRECOVERY_TARGET_TIMELINE = 0x10", undefined, 16],
    ["#recovery_target_timeline = '3'", "recovery_target_timeline = 'Latest'", 'latest'],
    ["recovery_target_timeline = 'nonsense'", undefined, 'latest'],
  ])('is read from %j and %j', async (main, auto, expected) => {
    if (main !== undefined) await cluster.put('postgresql.conf', `${main}\n`);
    if (auto !== undefined) await cluster.put('postgresql.auto.conf', `${auto}\n`);
    expect(await readTargetTimeline(data)).toBe(expected);
  });

  test('has a history in pg_wal beside others, and those that make no sense are left out', async () => {
    await writeFile(join(data, 'pg_wal/00000003.history'), '1\t0/500100\ta\n2\t0/700100\tb\n');
    await writeFile(join(data, 'pg_wal/00000002.history'), '1\t0/500100\ta\n');
    await writeFile(join(data, 'pg_wal/00000004.history'), 'nonsense\n');
    await mkdir(join(data, 'pg_wal/00000005.history'));
    expect((await readLocalHistories(data)).map(({ timeline }) => timeline)).toEqual([2, 3]);
  });

  test('is unknown without a pg_wal', async () => {
    await rm(join(data, 'pg_wal'), { recursive: true });
    expect(await readLocalHistories(data)).toEqual([]);
  });
});
