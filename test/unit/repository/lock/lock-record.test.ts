import { describe, expect, it } from 'vitest';
import {
  formatLockRecord,
  parseLockRecord,
  type Claim,
  type LockRecord,
} from '../../../../src/repository/lock/lock-record.ts';
import { sealJson } from '../../../../src/repository/sealed-json.ts';

const claim: Claim = {
  whole: true,
  objects: 256,
  bytes: 4_000_000,
  until: new Date('2026-12-22T10:00:00Z'),
  latest: new Date('2026-12-23T10:00:00Z'),
  mode: 'compliance',
};

const record: LockRecord = {
  systemId: 7_300_000_000_000_000_001n,
  at: new Date('2026-11-22T17:45:00.123Z'),
  by: 'walhold 0.1.0 on host',
  segmentBytes: 16 * 1024 * 1024,
  claims: new Map([
    ['wal/00000001/0000000100000002/', claim],
    ['backup/20261122T174500Z-full/', { ...claim, whole: false, mode: 'governance' }],
  ]),
};

/** The document with one thing changed, sealed again. */
function changed(from: string, to: string): Buffer {
  const lines = formatLockRecord(record).toString().split('\n').slice(0, -2);
  const text = lines.join('\n');
  expect(text).toContain(from);
  return sealJson(text.replace(from, to).split('\n'));
}

describe('a record of locks', () => {
  it('is read as it was written', () => {
    expect(parseLockRecord(formatLockRecord(record), 'x')).toEqual(record);
  });

  it('is written with whole seconds, a line for each directory, in order', () => {
    const fine = {
      ...record,
      claims: new Map([['wal/00000001/0000000100000002/', { ...claim, until: new Date('2026-12-22T10:00:00.999Z') }]]),
    };
    expect(formatLockRecord(fine).toString().split('\n')).toContain(
      '["wal/00000001/0000000100000002/",true,256,4000000,"2026-12-22T10:00:00Z","2026-12-23T10:00:00Z","compliance"]',
    );
  });

  it('keeps what never ends within what can be read', () => {
    const endless = { ...claim, latest: new Date(8.64e15) };
    const written = formatLockRecord({ ...record, claims: new Map([['wal/00000001/0000000100000002/', endless]]) });
    const [read] = parseLockRecord(written, 'x').claims.values();
    expect(read?.latest.toISOString()).toBe('9999-12-31T23:59:59.000Z');
  });

  it.each([
    ['another digest', Buffer.from(formatLockRecord(record).toString().replace('256', '255'))],
    ['no digest', Buffer.from('{}\n')],
    ['another format', changed('"format": 1', '"format": 2')],
    ['no cluster', changed('"7300000000000000001"', '"0"')],
    ['no time', changed('2026-11-22T17:45:00.123Z', 'today')],
    ['a segment size that there is not', changed('16777216', '16777217')],
    ['a directory outside', changed('wal/00000001/0000000100000002/', 'wal/00000001/../../x/')],
    ['a directory of another timeline', changed('wal/00000001/0000000100000002/', 'wal/00000001/0000000200000002/')],
    ['an upload that is no backup', changed('20261122T174500Z-full', 'latest')],
    [
      'a directory twice',
      changed(
        '"directories": [\n',
        '"directories": [\n["wal/00000001/0000000100000002/",true,1,1,"2026-12-22T10:00:00Z","2026-12-22T10:00:00Z","compliance"],\n',
      ),
    ],
    ['no objects', changed('256', '0')],
    ['half an object', changed('256', '1.5')],
    ['a mode that there is not', changed('"compliance"', '"firm"')],
    ['an end before the earliest', changed('2026-12-23T10:00:00Z', '2026-12-21T10:00:00Z')],
    ['a day that there is not', changed('2026-12-22T10:00:00Z', '2026-02-30T10:00:00Z')],
    ['more in a line', changed('"compliance"]', '"compliance",1]')],
    ['text for a flag', changed('true', '"true"')],
  ])('is refused with %s', (_, bytes) => {
    expect(() => parseLockRecord(bytes, 'x')).toThrow(/could not (?:trust|read) x/);
  });
});
