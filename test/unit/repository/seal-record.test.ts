import { describe, expect, it } from 'vitest';
import { timelineId } from '../../../src/postgres/timeline.ts';
import {
  formatSealRecord,
  parseSealRecord,
  SEAL_MAX_BYTES,
  type SealRecord,
} from '../../../src/repository/seal-record.ts';
import { sealJson } from '../../../src/repository/sealed-json.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';

const record: SealRecord = {
  systemId: SYSTEM_ID,
  at: new Date('2026-11-22T17:45:00.123Z'),
  by: 'walhold 0.1.0 on host',
  segmentBytes: 16 * 1024 * 1024,
  logs: new Map([
    [
      timelineId(1),
      new Map([
        [1, 1_700_000_000_001],
        [2, 1_700_000_000_002],
        [4, 1_700_000_000_004],
      ]),
    ],
    [timelineId(0x2a), new Map([[0xffff_ffff, 0]])],
  ]),
};

/** The document with one thing changed, sealed again. */
function changed(from: string, to: string): Buffer {
  const text = formatSealRecord(record).toString().split('\n').slice(0, -2).join('\n');
  expect(text).toContain(from);
  return sealJson(text.replace(from, to).split('\n'));
}

const ROW = '["00000001","00000001",[1700000000001,1700000000002]]';

describe('a seal', () => {
  it('is read as it was written, whatever the order in which logs were found', () => {
    const logs = new Map([...record.logs].toReversed().map(([tli, each]) => [tli, new Map([...each].toReversed())]));
    expect(parseSealRecord(formatSealRecord({ ...record, logs }), 'x')).toEqual(record);
  });

  it('names logs in a row once, with the first number', () => {
    const text = formatSealRecord(record).toString();
    expect(text).toContain(`${ROW},\n["00000001","00000004",[1700000000004]],\n["0000002A","FFFFFFFF",[0]]\n],`);
  });

  it('can name none', () => {
    const none = { ...record, logs: new Map() };
    expect(parseSealRecord(formatSealRecord(none), 'x')).toEqual(none);
  });

  it.each([
    ['another digest', Buffer.from(formatSealRecord(record).toString().replace('00000004', '00000005'))],
    ['another format', changed('"format": 1', '"format": 2')],
    ['no cluster', changed(`"${SYSTEM_ID}"`, '"0"')],
    ['no time', changed('2026-11-22T17:45:00.123Z', 'today')],
    ['no maker', changed('"by": "walhold 0.1.0 on host"', '"by": 1')],
    ['a segment size that there is not', changed('16777216', '16777217')],
    ['logs that are no list', changed('"logs": [', '"logs": {}, "more": [')],
    ['a row that is no list', changed(ROW, '"00000001"')],
    ['a row of more than it has', changed('"00000004",[1700000000004]', '"00000004",[1700000000004],1')],
    ['a timeline that there is not', changed('["00000001","00000001"', '["00000000","00000001"')],
    ['a timeline in other digits', changed('"0000002A"', '"0000002a"')],
    ['a path for a log', changed('"00000004"', '"../../.."')],
    ['a log in other digits', changed('"FFFFFFFF"', '"ffffffff"')],
    ['a log beyond the last', changed('[0]', '[0,1]')],
    ['a row without logs', changed('[1700000000004]', '[]')],
    ['times that are no list', changed('[1700000000004]', '1700000000004')],
    ['a word for a time', changed('[1700000000004]', '["1700000000004"]')],
    ['a part of a millisecond', changed('[1700000000004]', '[1700000000004.5]')],
    ['a time before all times', changed('[1700000000004]', '[-1]')],
    ['a time beyond all times', changed('[1700000000004]', '[8640000000000001]')],
    ['a log that is named twice', changed('["00000001","00000004"', '["00000001","00000002"')],
    ['more bytes than are read', Buffer.alloc(SEAL_MAX_BYTES + 1, ' ')],
  ])('is refused with %s', (_, bytes) => {
    expect(() => parseSealRecord(bytes, 'x')).toThrow(/could not (?:trust|read) x/);
  });
});
