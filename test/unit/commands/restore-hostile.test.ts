import { mkdir, readdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';
import { tarHeader } from '../../../src/stream/tar-header.ts';
import { controlFile } from '../../support/pretend-cluster.ts';
import { forgeHeader, reforge, type Forge } from '../../support/reforged-backup.ts';
import { BACKUP_ID, RestorePlace, SMALL_CLUSTER } from '../../support/restorable-backup.ts';

let place: RestorePlace;
beforeEach(async () => {
  place = await RestorePlace.create();
});
afterEach(async () => await place[Symbol.asyncDispose]());

/** Nothing came to lie beside the target, and no server can start in it. */
async function expectHarmless(): Promise<void> {
  expect((await readdir(place.root)).toSorted()).toEqual(['target']);
  expect(existsSync(join(place.target, 'global/pg_control'))).toBe(false);
}

/** Changes the frame that holds a file's member; `at` is where its header begins. */
const onMember =
  (path: string, change: (plain: Buffer, at: number) => Buffer): Forge =>
  (plain, frame) => {
    const file = frame.files.find((one) => one.path === path);
    return file === undefined ? undefined : { plain: change(plain, file.at - 512) };
  };
const header =
  (change: (block: Buffer) => void) =>
  (plain: Buffer, at: number): Buffer =>
    forgeHeader(plain, at, change);
const rename = (name: string): ((plain: Buffer, at: number) => Buffer) =>
  header((block) => block.fill(0, 0, 100).write(name, 0, 'latin1'));
const retype = (type: string): ((plain: Buffer, at: number) => Buffer) =>
  header((block) => {
    block.write(type, 156, 'latin1');
    block.write('/etc/passwd', 157, 'latin1');
  });
const extra = (name: string): Buffer =>
  tarHeader({ name, kind: 'directory', size: 0, mode: 0o700, modifiedAt: 0, uid: 0, gid: 0, user: '', group: '' });

const TABLE = 'base/1/1259';

describe('parts of a hostile repository are refused:', () => {
  const table: [string, Forge, RegExp][] = [
    ['a member with an absolute path', onMember(TABLE, rename('/tmp/walhold-was-here')), /its path is absolute/],
    ['a member that climbs out', onMember(TABLE, rename('base/../../../was-here')), /path contains "\.\."/],
    ['a member under another name', onMember(TABLE, rename('base/1/9999')), /the record has something else/],
    ['a symbolic link', onMember(TABLE, retype('2')), /type "2"/],
    ['a hard link', onMember(TABLE, retype('1')), /type "1"/],
    ['a device', onMember(TABLE, retype('3')), /type "3"/],
    ['a FIFO', onMember(TABLE, retype('6')), /type "6"/],
    [
      'other content',
      onMember(TABLE, (plain, at) => {
        plain[at + 600] = 0x21;
        return plain;
      }),
      /is not what was backed up/,
    ],
    [
      'a directory above the target',
      onMember(TABLE, (plain, at) =>
        Buffer.concat([plain.subarray(0, at), rename('../out/')(extra('out'), 0), plain.subarray(at)]),
      ),
      /path contains "\.\."/,
    ],
    [
      'more bytes than the record says',
      (plain, frame) =>
        frame.files.length === 0
          ? undefined
          : { plain: Buffer.concat([plain, Buffer.alloc(50_000_000)]), frame: { plainBytes: plain.length } },
      /more than \d+ bytes come out/,
    ],
    [
      'fewer',
      (plain, frame) =>
        frame.files.length === 0 ? undefined : { plain: plain.subarray(0, 512), frame: { plainBytes: plain.length } },
      /is not what was backed up|the archive ends within a member/,
    ],
    [
      'a frame that is not where the record says',
      (plain, frame) => (frame.files.length === 0 ? undefined : { plain, frame: { offset: frame.offset + 1 } }),
      /cannot be trusted|frames\[\d\] is wrong/,
    ],
    [
      'a member too many',
      onMember('postgresql.auto.conf', (plain, at) => Buffer.concat([plain, plain.subarray(at)])),
      /the record has something else/,
    ],
  ];
  it.each(table)('%s', async (_, forge, message) => {
    await reforge(place.stored, await place.putBackup(), forge);
    const result = await place.restore();
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(1);
    await expectHarmless();
  });
});

function withPath(part: BackupRecord['parts'][0], path: string): BackupRecord['parts'][0] {
  const [first, ...others] = part.frames;
  if (first === undefined) return part;
  const files = first.files.map((file, index) => (index === 0 ? { ...file, path } : file));
  return { ...part, frames: [{ ...first, files }, ...others] };
}

describe('a hostile record is refused:', () => {
  const inFirst = (
    record: BackupRecord,
    change: (frame: BackupRecord['parts'][0]['frames'][0]) => object,
  ): BackupRecord => ({
    ...record,
    parts: record.parts.map((part) => ({
      ...part,
      frames: part.frames.map((frame, index) => (index === 0 ? { ...frame, ...change(frame) } : frame)),
    })),
  });
  const pathed = (path: string) => (record: BackupRecord) => ({
    ...record,
    parts: record.parts.map((part, at) => (at > 0 ? part : withPath(part, path))),
  });
  const table: [string, (record: BackupRecord) => BackupRecord, RegExp][] = [
    ['an absolute path', pathed('/etc/cron.d/x'), /cannot be trusted/],
    ['a path that climbs', pathed('../../x'), /cannot be trusted/],
    ['an absurd size', (record) => inFirst(record, () => ({ plainBytes: 2 ** 52 })), /cannot be trusted/],
    [
      'another identifier',
      (record) => ({ ...record, id: '20250101T000000Z-full' as BackupRecord['id'] }),
      /cannot be trusted/,
    ],
    [
      'a tablespace that climbs',
      (record) => ({ ...record, tablespaces: [{ oid: '16400', path: '/tmp/../etc' }] }),
      /no plain absolute path/,
    ],
    [
      'a tablespace at the root',
      (record) => ({ ...record, tablespaces: [{ oid: '16400', path: '/' }] }),
      /could not place tablespace|is not empty/,
    ],
    ['a file that is in no manifest', pathed('base/1/9999'), /is in a part and not in the manifest/],
  ];
  it.each(table)('%s', async (_, change, message) => {
    await place.putBackup({}, change);
    const result = await place.restore();
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(1);
    expect(existsSync(join(place.target, 'global/pg_control'))).toBe(false);
  });

  it('no JSON at all', async () => {
    await place.putBackup();
    await place.stored.put(`backup/${BACKUP_ID}/backup.json`, '{"format": 1, "id": ');
    expect(await place.restore()).toMatchObject({ status: 1, stdout: '' });
    await expectHarmless();
  });

  it('a backup without its label, which a server would take for a crashed cluster', async () => {
    const { backup_label: _, ...parts } = SMALL_CLUSTER;
    await place.putBackup({ parts: [parts] });
    expect((await place.restore()).stderr).toMatch(/it lacks backup_label/);
    await expectHarmless();
  });

  it("another cluster's control file", async () => {
    await place.putBackup({ parts: [{ ...SMALL_CLUSTER, 'global/pg_control': controlFile(42n, 1024 * 1024) }] });
    expect((await place.restore()).stderr).toMatch(/its pg_control is not this cluster's/);
    await expectHarmless();
  });
});

describe('a hostile tablespace', () => {
  it('brings nothing but what a server looks for in one', async () => {
    const path = join(place.root, 'space');
    const map = { tablespace_map: `16400 ${path}\n`, 'pg_tblspc/16400/root': '* * * * * evil\n' };
    await place.putBackup({ parts: [{ ...SMALL_CLUSTER, ...map }], tablespaces: [{ oid: '16400', path }] });
    expect((await place.restore()).stderr).toMatch(/nothing that a tablespace holds/);
    expect(await readdir(path)).toEqual([]);
  });

  it.each(['space', '../etc'])('is named to whoever restores, or no server is told of it: %s', async (name) => {
    const map = { tablespace_map: `16400 ${join(place.root, name)}\n` };
    await place.putBackup({ parts: [{ ...SMALL_CLUSTER, ...map }], tablespaces: [] });
    const result = await place.restore();
    expect(result.stderr).toMatch(/its tablespace_map names a tablespace that its record lacks/);
    expect(result.status).toBe(1);
    await expectHarmless();
  });

  it('is not put where something lies', async () => {
    const path = join(place.root, 'space');
    await mkdir(join(path, 'precious'), { recursive: true });
    const map = { tablespace_map: `16400 ${path}\n`, 'pg_tblspc/16400/PG_15_202209061/1/1': 'x' };
    await place.putBackup({ parts: [{ ...SMALL_CLUSTER, ...map }], tablespaces: [{ oid: '16400', path }] });
    expect((await place.restore()).stderr).toMatch(/the tablespace directory .* is not empty/);
    expect(await readdir(path)).toEqual(['precious']);
    expect(await place.made()).toEqual([]);
  });
});
