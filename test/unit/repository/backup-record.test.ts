import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatBackupRecord } from '../../../src/repository/backup-record-format.ts';
import { parseBackupRecord } from '../../../src/repository/backup-record-parse.ts';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';
import { parseBackupId, type BackupId } from '../../../src/repository/layout.ts';
import { lsn } from '../../../src/postgres/lsn.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';

const ID = parseBackupId('20261122T174500Z-full') as BackupId;
const OBJECT = `backup/${ID}/backup.json`;
const HEX = 'ab'.repeat(32);

const RECORD: BackupRecord = {
  id: ID,
  type: 'full',
  parent: undefined,
  label: 'nightly "one"',
  startedAt: '2026-11-22T17:45:00.123456Z',
  stoppedAt: '2026-11-22T17:46:00.5Z',
  startLsn: lsn(0x1_0200_0028n),
  stopLsn: lsn(0x1_0200_0100n),
  timeline: timelineId(2),
  server: {
    systemId: 7_440_000_000_000_000_001n,
    version: '15.17 (Debian 15.17-0+deb12u1)',
    major: 15,
    controlVersion: 1300,
    catalogVersion: 202209061,
    segmentBytes: 16 * 1024 * 1024,
    blockBytes: 8192,
    blocksPerFile: 131072,
    dataChecksums: true,
    walLogHints: false,
    inRecovery: false,
    maxConnections: 100,
    maxWorkerProcesses: 8,
    maxWalSenders: 10,
    maxPreparedXacts: 0,
    maxLocksPerXact: 64,
  },
  databases: [
    { oid: 5, name: 'postgres', template: false },
    { oid: 4_294_967_295, name: 'naïve "one"', template: true },
  ],
  tablespaces: [{ oid: '16400', path: '/srv/fast disk' }],
  walRequired: { first: '000000020000000100000002', last: '000000020000000100000002' },
  manifest: { sha256: HEX, bytes: 1000, storedBytes: 700 },
  config: {
    plainBytes: 2048,
    storedBytes: 1324,
    sha256: HEX,
    crc32c: 7,
    configFile: '/etc/postgresql/15/main/postgresql.conf',
    hbaFile: undefined,
    identFile: undefined,
    files: ['/etc/postgresql/15/main/postgresql.conf'],
  },
  badPages: [{ path: 'base/5/16385', block: 3 }],
  badPageCount: 1,
  sizeBytes: 9000,
  storedBytes: 4000,
  tool: 'walhold 0.1.0',
  host: 'db1',
  settings: { compress_level: '1' },
  parts: [
    {
      number: 1,
      plainBytes: 5632,
      storedBytes: 1624,
      sha256: HEX,
      crc32c: 0xffff_ffff,
      frames: [
        {
          offset: 0,
          storedBytes: 500,
          plainBytes: 4608,
          files: [
            { path: 'PG_VERSION', size: 3, at: 512 },
            { path: Buffer.from('636166e9', 'hex'), size: 1000, at: 1536 },
            { path: 'base/1/1259', size: 0, at: 4608 },
          ],
        },
        { offset: 500, storedBytes: 100, plainBytes: 1024, files: [] },
      ],
    },
    { number: 3, plainBytes: 0, storedBytes: 1024, sha256: HEX, crc32c: 0, frames: [] },
  ],
};

/** The document after an edit, its digest made to fit again. */
function edited(edit: (text: string) => string): Buffer {
  const text = formatBackupRecord(RECORD).toString('utf8');
  const changed = edit(text.slice(0, text.lastIndexOf('"sha256": ')));
  const digest = createHash('sha256').update(changed).digest('hex');
  return Buffer.from(`${changed}"sha256": "${digest}"}\n`, 'utf8');
}

describe('backup.json', () => {
  it('comes back as it was written', () => {
    expect(parseBackupRecord(formatBackupRecord(RECORD), ID, OBJECT)).toEqual(RECORD);
  });

  it('is JSON for everybody', () => {
    const value = JSON.parse(formatBackupRecord(RECORD).toString('utf8')) as { parts: { name: string }[] };
    expect(value.parts.map((part) => part.name)).toEqual(['part-1.tar.zst', 'part-3.tar.zst']);
  });

  it('takes a hundred bytes or less for a file', () => {
    const files = Array.from({ length: 1000 }, (_, i) => ({
      path: `base/5/${16384 + i}`,
      size: 8192,
      at: 8704 * i + 512,
    }));
    const frames = [{ offset: 0, storedBytes: 5000, plainBytes: 8704 * 1000, files }];
    const part = { number: 1, plainBytes: 8704 * 1000, storedBytes: 6024, sha256: HEX, crc32c: 1, frames };
    expect(formatBackupRecord({ ...RECORD, parts: [part] }).length).toBeLessThan(100_000);
  });

  it('is refused when one bit is other than it was', () => {
    const bytes = formatBackupRecord(RECORD);
    for (let at = 0; at < bytes.length; at += 7) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 4;
      expect(() => parseBackupRecord(flipped, ID, OBJECT), `byte ${at}`).toThrow(`could not trust ${OBJECT}`);
    }
  });

  it('is refused when it is cut short anywhere', () => {
    const bytes = formatBackupRecord(RECORD);
    for (let length = 0; length < bytes.length; length += 5) {
      expect(() => parseBackupRecord(bytes.subarray(0, length), ID, OBJECT)).toThrow(`could not trust ${OBJECT}`);
    }
  });

  it('of an incremental backup names an earlier one as its parent', () => {
    const id = '20261122T174500Z-incr' as BackupId;
    const parent = '20261121T174500Z-full' as BackupId;
    const record: BackupRecord = { ...RECORD, id, type: 'incremental', parent };
    expect(parseBackupRecord(formatBackupRecord(record), id, OBJECT)).toEqual(record);
    const broken = [null, id, '20261123T174500Z-full', 'x'].map((other) => ({ ...record, parent: other as BackupId }));
    for (const each of broken) {
      expect(() => parseBackupRecord(formatBackupRecord(each), id, OBJECT)).toThrow(
        expect.objectContaining({ detail: expect.stringContaining('its field parent is') }),
      );
    }
  });

  const breakages: [string, string | RegExp, string, string][] = [
    ['another format', '"format": 1', '"format": 2', 'its format is 2, this version reads 1'],
    ['the id of another backup', `"${ID}"`, '"20261122T174501Z-full"', 'its field id is missing or wrong'],
    ['a type of another kind', '"type": "full"', '"type": "incremental"', 'its field type is'],
    ['a parent', '"parent": null', '"parent": "20261121T174500Z-full"', 'its field parent is'],
    ['a time that is none', '17:46:00.5Z', '27:46:00.5Z', 'its field stoppedAt is'],
    ['an end before the start', '"stopLsn": "1/2000100"', '"stopLsn": "1/1"', 'its field stopLsn is'],
    ['timeline 0', '"timeline": 2', '"timeline": 0', 'its field timeline is'],
    [
      'a segment size that is none',
      '"segmentBytes":16777216',
      '"segmentBytes":16777217',
      'its field server.segmentBytes is',
    ],
    ['a number as text', '"maxConnections":100', '"maxConnections":"100"', 'its field server.maxConnections is'],
    ['a database without a number', '"oid":5,', '"oid":0,', 'its field databases[0].oid is'],
    ['a database without a name', '"name":"postgres"', '"name":""', 'its field databases[0].name is'],
    ['two databases of one name', JSON.stringify('naïve "one"'), '"postgres"', 'its field databases[1].name is'],
    ['a tablespace that climbs', '"oid":"16400"', '"oid":"../16400"', 'its field tablespaces[0].oid is'],
    ['a tablespace at a relative path', '/srv/fast disk', 'srv', 'its field tablespaces[0].path is'],
    ['a WAL name that is none', '"first":"000000020', '"first":"../000020', 'its field walRequired.first is'],
    ['a digest that is none', `"manifest": {"sha256":"ab`, `"manifest": {"sha256":"zz`, 'its field manifest.sha256 is'],
    ['a part with another name', '"part-1.tar.zst"', '"../part-1.tar.zst"', 'its field parts[0].name is'],
    ['one part twice', '"part-3.tar.zst"', '"part-1.tar.zst"', 'its field parts[1].name is'],
    ['a gap between frames', '[500,100,1024]', '[501,99,1024]', 'its field parts[0].frames[1] is'],
    ['frames longer than the object', '[500,100,1024]', '[500,101,1024]', 'its field parts[0].storedBytes is'],
    ['frames larger than the part', '[500,100,1024]', '[500,100,1025]', 'its field parts[0].plainBytes is'],
    ['an absurd size', '"PG_VERSION",3,', '"PG_VERSION",9e15,', 'its field parts[0].frames[0] is'],
    ['a negative size', '"PG_VERSION",3,', '"PG_VERSION",-3,', 'its field parts[0].frames[0] is'],
    ['files that overlap', '"PG_VERSION",3,', '"PG_VERSION",3000,', 'its field parts[0].frames[0] is'],
    ['a file beyond its frame', '"base/1/1259",0,4608', '"base/1/1259",1,4608', 'its field parts[0].frames[0] is'],
    ['an absolute path', '"PG_VERSION"', '"/PG_VERSION"', 'its field parts[0].frames[0] is'],
    ['a path that climbs', '"base/1/1259"', '"base/../../1259"', 'its field parts[0].frames[0] is'],
    ['a path that climbs in hex', '"636166e9"', '"2e2e2fe9"', 'its field parts[0].frames[0] is'],
    ['text in hex', '"636166e9"', '"50475f56455253494f4e"', 'its field parts[0].frames[0] is'],
    ['a path named twice', '"base/1/1259"', '"PG_VERSION"', 'its field parts[0].frames[0] is'],
    ['no parts', /"parts": \[[^]*\],\n$/, '"parts": [],\n', 'its field parts is'],
    ['parts that are no list', /"parts": \[[^]*\],\n$/, '"parts": {"length":1},\n', 'its field parts is'],
    ['a broken document', '"label"', 'label', 'it is not JSON'],
  ];
  it.each(breakages)('is refused with %s', (_, find, replacement, message) => {
    const bytes = edited((text) => {
      const changed = text.replace(find, replacement);
      expect(changed).not.toBe(text);
      return changed;
    });
    expect(() => parseBackupRecord(bytes, ID, OBJECT)).toThrow(
      expect.objectContaining({ code: 'bad-format', detail: expect.stringContaining(message) as string }),
    );
  });
});
