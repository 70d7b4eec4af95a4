import { chmod, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SILENT, type Log } from '../../../src/base/log.ts';
import { clearConfirmations, noteConfirmations, readConfirmations } from '../../../src/spool/confirmations.ts';
import { clearOutage, noteOutageSpent, readOutageSpent } from '../../../src/spool/fetch-outage.ts';
import { isKnownRepository, rememberRepository } from '../../../src/spool/known-repositories.ts';
import { clearPushOutage, notePushOutage, readPushOutage } from '../../../src/spool/push-outage.ts';
import { NO_SPOOL, openSpool, type Spool } from '../../../src/spool/spool.ts';
import { noteStandby, wasStandby } from '../../../src/spool/standby-note.ts';

let top: string;
let path: string;
const warnings: string[] = [];
const log: Log = { ...SILENT, warning: (message) => void warnings.push(message) };
/** As the next call would. */
const reopened = async (): Promise<Spool> => openSpool(path, log, Date.now());

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'walhold-spool-'));
  path = join(top, 'spool');
  warnings.length = 0;
});
afterEach(async () => await rm(top, { recursive: true, force: true }));

describe('a spool', () => {
  test('is made by the first note, private, and gives it to the next call', async () => {
    const spool = await reopened();
    expect(await readdir(top)).toEqual([]);
    await spool.write('a', { x: 1 });
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(path, 'a.json'))).mode & 0o777).toBe(0o600);
    expect(await (await reopened()).read('a')).toEqual({ x: 1 });
    await (await reopened()).remove('a');
    expect(await readdir(path)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test('durable or not, leaves no temporary file behind', async () => {
    const spool = await reopened();
    await spool.write('a', { x: 1 });
    await spool.write('b', { x: 1 }, 'durable');
    expect(await readdir(path)).toEqual(['a.json', 'b.json']);
  });

  test.each([
    ['nothing', ''],
    ['half a note', '{"x":'],
    ['no object', '7'],
    ['null', 'null'],
    ['more than any note', JSON.stringify({ x: 'y'.repeat(70_000) })],
  ])('that holds %s holds no note', async (_, text) => {
    await mkdir(path);
    await writeFile(join(path, 'a.json'), text);
    expect(await (await reopened()).read('a')).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  test('that is no directory is one warning, and nothing is kept', async () => {
    await writeFile(path, '');
    const spool = await reopened();
    await spool.write('a', { x: 1 });
    await spool.write('b', { x: 1 }, 'durable');
    expect(await spool.read('a')).toBeUndefined();
    expect(warnings).toEqual([`could not look in the spool ${path}`]);
  });

  test('under a folder that is missing is a warning, not a folder', async () => {
    path = join(top, 'missing', 'spool');
    await (await reopened()).write('a', { x: 1 });
    expect(await readdir(top)).toEqual([]);
    expect(warnings).toHaveLength(1);
  });

  test('loses what calls that were killed left there, and only that', async () => {
    await mkdir(path);
    for (const name of ['.tmp-1-old', '.tmp-2-new', 'other']) await writeFile(join(path, name), '');
    await utimes(join(path, '.tmp-1-old'), 0, 0);
    await utimes(join(path, 'other'), 0, 0);
    await reopened();
    expect(await readdir(path)).toEqual(['.tmp-2-new', 'other']);
  });

  test('that is none takes everything and knows nothing', async () => {
    await NO_SPOOL.write('a', { x: 1 });
    expect(await NO_SPOOL.read('a')).toBeUndefined();
  });
});

describe('what is noted', () => {
  test('of a repository is true of that place and cluster alone', async () => {
    await rememberRepository(await reopened(), 'file:///a', 7n);
    const spool = await reopened();
    expect(await isKnownRepository(spool, 'file:///a', 7n)).toBe(true);
    expect(await isKnownRepository(spool, 'file:///a', 8n)).toBe(false);
    expect(await isKnownRepository(spool, 'file:///b', 7n)).toBe(false);
  });

  test('of a failed push counts for minutes, is of one place, and ends with success', async () => {
    await notePushOutage(await reopened(), 'a', { stage: 'reach' }, 1_000_000);
    const spool = await reopened();
    expect(await readPushOutage(spool, 'a', 1_000_001)).toEqual({ stage: 'reach' });
    expect(await readPushOutage(spool, 'b', 1_000_001)).toBeUndefined();
    expect(await readPushOutage(spool, 'a', 1_000_000 + 180_000)).toBeUndefined();
    // A clock that was set back.
    expect(await readPushOutage(spool, 'a', 999_999)).toBeUndefined();
    await clearPushOutage(spool, 'a');
    expect(await readPushOutage(await reopened(), 'a', 1_000_001)).toBeUndefined();
  });

  test('of an outage in recovery is of one run of the postmaster', async () => {
    await noteOutageSpent(await reopened(), '7:100', 2500.4);
    const spool = await reopened();
    expect(await readOutageSpent(spool, '7:100')).toBe(2500);
    expect(await readOutageSpent(spool, '7:101')).toBe(0);
    await clearOutage(spool);
    expect(await readOutageSpent(await reopened(), '7:100')).toBe(0);
  });

  test('of a standby is of one run of the postmaster', async () => {
    await noteStandby(await reopened(), '7:100');
    expect(await wasStandby(await reopened(), '7:100')).toBe(true);
    expect(await wasStandby(await reopened(), '8:100')).toBe(false);
  });

  test('of who holds a file is of that file and content', async () => {
    await noteConfirmations(await reopened(), 'A', 'digest', ['x', 'y']);
    const spool = await reopened();
    expect(await readConfirmations(spool, 'A', 'digest')).toEqual(new Set(['x', 'y']));
    expect(await readConfirmations(spool, 'A', 'other')).toEqual(new Set());
    expect(await readConfirmations(spool, 'B', 'digest')).toEqual(new Set());
    await clearConfirmations(spool);
    expect(await readConfirmations(await reopened(), 'A', 'digest')).toEqual(new Set());
  });

  test('by somebody else is not believed in any form', async () => {
    await mkdir(path);
    for (const name of ['confirmed', 'fetch-outage', 'standby']) {
      await writeFile(join(path, `${name}.json`), '{"name":5,"places":7,"run":{},"spentMs":"x","sha256":null}');
      await chmod(join(path, `${name}.json`), 0o600);
    }
    const spool = await reopened();
    expect(await readConfirmations(spool, 'A', 'd')).toEqual(new Set());
    expect(await readOutageSpent(spool, '7:100')).toBe(0);
    expect(await wasStandby(spool, '7:100')).toBe(false);
  });
});
