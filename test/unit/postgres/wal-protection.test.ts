import { describe, expect, it } from 'vitest';
import { segmentNumber, segmentStart } from '../../../src/postgres/wal-name.ts';
import { whyNotProtected } from '../../../src/postgres/wal-protection.ts';
import { walkRecords, type WalRecord } from '../../../src/postgres/wal-records.ts';
import { FIXTURE_SEGMENT_BYTES, fixtureSegments, WAL_MAJORS } from '../../support/postgres-fixture.ts';

function record(info: number, data: Buffer, rmgr = 0): Pick<WalRecord, 'rmgr' | 'info' | 'bytes'> {
  const bytes = Buffer.concat([Buffer.alloc(24), Buffer.from([255, data.length]), data]);
  return { rmgr, info, bytes: () => bytes };
}

function checkpoint(fullPageWrites: boolean): Buffer {
  const data = Buffer.alloc(88, 0xff);
  data[16] = fullPageWrites ? 1 : 0;
  return data;
}

function parameters(walLevel: number): Buffer {
  const data = Buffer.alloc(26);
  data.writeUInt32LE(walLevel, 20);
  return data;
}

describe('WAL that mends torn pages', () => {
  it.each([
    ['a checkpoint with full pages', record(0x10, checkpoint(true)), undefined],
    ['a checkpoint without', record(0x10, checkpoint(false)), 'full_page_writes was off'],
    ['a shutdown checkpoint without', record(0x00, checkpoint(false)), 'full_page_writes was off'],
    ['a change to full pages', record(0x80, Buffer.from([1])), undefined],
    ['a change from full pages', record(0x80, Buffer.from([0])), 'full_page_writes was off'],
    ['a change to minimal WAL', record(0x60, parameters(0)), 'wal_level was minimal'],
    ['a change to WAL for replicas', record(0x60, parameters(1)), undefined],
    ['a checkpoint cut short', record(0x10, Buffer.alloc(3)), 'full_page_writes was off'],
    ['a change without data', record(0x60, Buffer.alloc(0)), 'wal_level was minimal'],
    ['another record of the same form', record(0x10, checkpoint(false), 1), undefined],
    ['another record of the resource manager', record(0x70, checkpoint(false)), undefined],
  ])('is judged by %s', (_, one, why) => {
    expect(whyNotProtected(one)).toBe(why);
  });

  it.each(WAL_MAJORS)('is what a real PostgreSQL %i writes by itself, checkpoints and all', (major) => {
    let checkpoints = 0;
    for (const { file, bytes, overwritten } of fixtureSegments(major)) {
      if (overwritten) continue;
      walkRecords(bytes, segmentStart(segmentNumber(file, FIXTURE_SEGMENT_BYTES) ?? 0n, FIXTURE_SEGMENT_BYTES), {
        onRecord(one) {
          if (one.rmgr === 0 && (one.info & 0xe0) === 0) checkpoints += 1;
          expect(whyNotProtected(one)).toBeUndefined();
        },
      });
    }
    expect(checkpoints).toBeGreaterThan(0);
  });
});
