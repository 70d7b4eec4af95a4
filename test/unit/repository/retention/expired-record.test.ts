import { describe, expect, it } from 'vitest';
import { timelineId } from '../../../../src/postgres/timeline.ts';
import { parseBackupId, type BackupId } from '../../../../src/repository/layout.ts';
import { withoutExpired } from '../../../../src/repository/retention/expired-gaps.ts';
import {
  formatExpiredRecord,
  parseExpiredRecord,
  type ExpiredRecord,
} from '../../../../src/repository/retention/expired-record.ts';
import { sealJson } from '../../../../src/repository/sealed-json.ts';
import { lsn } from '../../../../src/postgres/lsn.ts';

const MIB = 1024 * 1024;
const RECORD: ExpiredRecord = {
  systemId: 7_300_000_000_000_000_001n,
  at: new Date('2026-11-22T17:45:00Z'),
  by: 'walhold on here',
  segmentBytes: MIB,
  backups: ['20260101T000000Z-full', '20260102T000000Z-incr'].map((id) => parseBackupId(id) as BackupId),
  wal: [
    { timeline: timelineId(1), first: 1n, last: 4097n },
    { timeline: timelineId(2), first: 5n, last: 5n },
  ],
};

/** With one field replaced, and sealed again. */
function changed(field: string, value: unknown): Buffer {
  const { sha256: _, ...fields } = JSON.parse(formatExpiredRecord(RECORD).toString()) as Record<string, unknown>;
  const text = JSON.stringify({ ...fields, [field]: value });
  return sealJson([`${text.slice(0, -1)},`]);
}

describe('the index of what was removed', () => {
  it('is read as it was written, and is JSON', () => {
    const bytes = formatExpiredRecord(RECORD);
    expect(parseExpiredRecord(bytes, 'it')).toEqual(RECORD);
    expect(JSON.parse(bytes.toString())).toMatchObject({
      wal: [['000000010000000000000001', '000000010000000100000001'], expect.anything()],
    });
    const empty = { ...RECORD, backups: [], wal: [] };
    expect(parseExpiredRecord(formatExpiredRecord(empty), 'it')).toEqual(empty);
  });

  it.each<[string, unknown]>([
    ['backups', ['../../wal']],
    ['backups', 'all'],
    ['wal', [['000000010000000000000002', '000000010000000000000001']]],
    ['wal', [['000000010000000000000001', '000000020000000000000002']]],
    ['wal', [['000000010000000000001000', '000000010000000000001001']]],
    ['wal', [['000000010000000000000001']]],
    ['wal', [['00000001.history', '00000001.history']]],
    ['segmentBytes', 3],
    ['systemId', '0'],
    ['at', 'yesterday'],
    ['format', 2],
  ])('is not believed with a wrong %s: %j', (field, value) => {
    expect(parseExpiredRecord(changed('by', 'x'), 'it').by).toBe('x');
    expect(() => parseExpiredRecord(changed(field, value), 'it')).toThrow(/could not (trust|read) it/);
  });

  it('is damaged when a byte of it is another', () => {
    const bytes = formatExpiredRecord(RECORD);
    const at = bytes.indexOf('20260101');
    bytes[at] = 0x33;
    expect(() => parseExpiredRecord(bytes, 'it')).toThrow(expect.objectContaining({ code: 'damaged' }));
  });
});

describe('a gap', () => {
  const gap = { timeline: timelineId(1), first: 10n, last: 20n };
  const expired = [
    { timeline: timelineId(1), first: 5n, last: 14n },
    { timeline: timelineId(2), first: 0n, last: 100n },
  ];
  const backupAt = (segno: bigint): Parameters<typeof withoutExpired>[2] => {
    const at = { startLsn: lsn(segno * BigInt(MIB)), stopLsn: lsn(segno * BigInt(MIB) + 1n), stoppedAt: new Date(0) };
    return { backups: [{ id: 'one', timeline: timelineId(1), ...at }], segmentBytes: MIB };
  };

  it('is no loss as far as it was given up', () => {
    expect(withoutExpired([gap], expired, backupAt(21n))).toEqual([{ ...gap, first: 15n }]);
    expect(withoutExpired([gap], [{ ...gap, first: 0n }], backupAt(30n))).toEqual([]);
  });

  it('is one where no backup begins behind it, whatever an index says', () => {
    expect(withoutExpired([gap], [{ ...gap, first: 0n }], backupAt(20n))).toEqual([gap]);
  });
});
