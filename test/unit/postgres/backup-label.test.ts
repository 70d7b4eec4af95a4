import { describe, expect, it, test } from 'vitest';
import {
  incrementalLabel,
  isIncrementalLabel,
  parseBackupHistory,
  parseBackupLabel,
} from '../../../src/postgres/backup-label.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { lsn } from '../../../src/postgres/lsn.ts';
import { ALL_MAJORS, fixture } from '../../support/postgres-fixture.ts';

describe.each(ALL_MAJORS)('labels of a real PostgreSQL %i', (major) => {
  it('say where the backup begins and where it ended', () => {
    const label = parseBackupLabel(fixture(major, 'backup_label').toString());
    const history = parseBackupHistory(fixture(major, 'backup_history').toString());
    expect(history).toMatchObject(label);
    expect(label).toMatchObject({
      method: 'streamed',
      from: major === 13 ? 'master' : 'primary',
      label: 'a label',
      startTimeline: 1,
      incrementalFrom: undefined,
    });
    expect(label.startLsn).toBeLessThan(label.checkpointLsn);
    expect(history.stopLsn).toBeGreaterThan(label.checkpointLsn);
    expect(history.stopSegment).toBe(label.startSegment);
    expect(label.startTime).toMatch(/^2026-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    expect(isIncrementalLabel(label)).toBe(false);
  });
});

const GOOD = `START WAL LOCATION: 0/B00028 (file 00000001000000000000000B)
CHECKPOINT LOCATION: 0/B00060
BACKUP METHOD: streamed
BACKUP FROM: standby
START TIME: 2026-11-22 20:13:28 UTC
LABEL: nightly: the 1st
START TIMELINE: 1
INCREMENTAL FROM LSN: 0/A00028
INCREMENTAL FROM TLI: 1
`;

describe('a label', () => {
  it('of an incremental backup names its parent', () => {
    const label = parseBackupLabel(GOOD);
    expect(label).toMatchObject({
      startLsn: 0xb00028n,
      startSegment: '00000001000000000000000B',
      checkpointLsn: 0xb00060n,
      from: 'standby',
      label: 'nightly: the 1st',
      incrementalFrom: { lsn: 0xa00028n, timeline: 1 },
    });
    expect(isIncrementalLabel(label)).toBe(true);
  });

  it('may have lines of a version to come', () => {
    expect(parseBackupLabel(`${GOOD}SOMETHING NEW: 1\n`)).toEqual(parseBackupLabel(GOOD));
  });

  test.each<[string, (text: string) => string, string]>([
    ['no start', (t) => t.replace(/^.*\n/, ''), 'backup_label has no line START WAL LOCATION'],
    ['a start without its file', (t) => t.replace(/ \(.*\)/, ''), 'backup_label has a wrong line START WAL LOCATION'],
    [
      'a start that is no LSN',
      (t) => t.replace('0/B00028', '0-B00028'),
      'backup_label has a wrong line START WAL LOCATION',
    ],
    [
      'a file that is none',
      (t) => t.replace('00000000000B', '00000000000b'),
      'backup_label has a wrong line START WAL LOCATION',
    ],
    ['no checkpoint', (t) => t.replace(/CHECK.*\n/, ''), 'backup_label has no line CHECKPOINT LOCATION'],
    [
      'a checkpoint that is no LSN',
      (t) => t.replace('0/B00060', 'x'),
      'backup_label has a wrong line CHECKPOINT LOCATION',
    ],
    ['no label', (t) => t.replace(/LABEL.*\n/, ''), 'backup_label has no line LABEL'],
    ['timeline 0', (t) => t.replace('LINE: 1', 'LINE: 0'), 'backup_label has a wrong line START TIMELINE'],
    [
      'a parent without its timeline',
      (t) => t.replace(/.*TLI.*\n/, ''),
      'backup_label has no line INCREMENTAL FROM TLI',
    ],
    [
      'a label that imitates a field',
      (t) => t.replace('the 1st', 'x\nSTART TIMELINE: 7'),
      'backup_label has two lines START TIMELINE',
    ],
    ['64 kB', (t) => t.padEnd(70_000, 'x'), 'backup_label is 70000 characters long'],
  ])('with %s is refused', (_, spoil, message) => {
    expect(() => parseBackupLabel(spoil(GOOD))).toThrow(expect.objectContaining({ code: 'bad-format', message }));
  });

  it('is no history file', () => {
    expect(() => parseBackupHistory(GOOD)).toThrow('backup history file has no line STOP WAL LOCATION');
  });
});

test('the label of an incremental backup is the server’s with two lines more, which name where its parent began', () => {
  const text = [
    'START WAL LOCATION: 0/3000028 (file 000000020000000000000003)',
    'CHECKPOINT LOCATION: 0/3000060',
    'BACKUP METHOD: streamed',
    'BACKUP FROM: primary',
    'START TIME: 2026-11-22 17:45:00 UTC',
    'LABEL: nightly',
    'START TIMELINE: 2',
    '',
  ].join('\n');
  const parent = { lsn: lsn(0x1_0200_0028n), timeline: timelineId(1) };
  const label = incrementalLabel(Buffer.from(text), parent).toString();
  expect(label).toBe(`${text}INCREMENTAL FROM LSN: 1/2000028\nINCREMENTAL FROM TLI: 1\n`);
  expect(parseBackupLabel(label).incrementalFrom).toEqual(parent);
});
