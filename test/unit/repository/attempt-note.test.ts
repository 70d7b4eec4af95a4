import { describe, expect, it } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { formatAttemptNote, parseAttemptNote, type AttemptNote } from '../../../src/repository/attempt-note.ts';
import type { BackupId } from '../../../src/repository/layout.ts';
import { sealJson } from '../../../src/repository/sealed-json.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';

const note: AttemptNote = {
  systemId: SYSTEM_ID,
  backup: '20261122T174500Z-full' as BackupId,
  attempt: 2,
  at: '2026-11-22T17:45:01.000Z',
  by: 'walhold 0.1.0 on host',
  dataDirectory: '/var/lib/postgresql/15/main',
  host: 'host',
  startedAt: '2026-11-22T17:45:00.123456Z',
  startLsn: lsn(0x2_0000_0028n),
  checkpointLsn: lsn(0x2_0000_0060n),
  timeline: timelineId(3),
  catalogVersion: 202209061,
  dataChecksums: true,
  inRecovery: false,
  tablespaces: ['16400', '16401'],
  session: { pid: 4711, startedAt: '2026-11-22T17:44:59.000001Z' },
  increment: undefined,
};

const incremental: AttemptNote = {
  ...note,
  backup: '20261122T174500Z-incr' as BackupId,
  increment: { parent: '20261122T164500Z-full' as BackupId, changes: 'wal-summaries' },
};

/** The document with one thing changed, sealed again. */
function changed(from: string, to: string, original = note): Buffer {
  const text = formatAttemptNote(original).toString().split('\n').slice(0, -2).join('\n');
  expect(text).toContain(from);
  return sealJson(text.replace(from, to).split('\n'));
}

describe('the note of an attempt', () => {
  it('is read as it was written', () => {
    expect(parseAttemptNote(formatAttemptNote(note), 'x')).toEqual(note);
    expect(parseAttemptNote(formatAttemptNote(incremental), 'x')).toEqual(incremental);
  });

  it.each([
    ['another digest', Buffer.from(formatAttemptNote(note).toString().replace('2/28', '2/30'))],
    ['another format', changed('"format": 1', '"format": 2')],
    ['no cluster', changed(`"${SYSTEM_ID}"`, '"0"')],
    ['a backup that there cannot be', changed('20261122T174500Z-full', '../../x')],
    ['a position that is none', changed('"startLsn": "2/28"', '"startLsn": "2/"')],
    ['no checkpoint', changed('"checkpointLsn": "2/60"', '"checkpointLsn": null')],
    ['no timeline', changed('"timeline": 3', '"timeline": 0')],
    ['a word for a flag', changed('"dataChecksums": true', '"dataChecksums": "on"')],
    ['a tablespace that there cannot be', changed('"16400"', '"../x"')],
    ['an attempt before the first', changed('"attempt": 2', '"attempt": 0')],
    ['a session of no process', changed('"pid":4711', '"pid":-1')],
    ['a session that began at no time', changed('2026-11-22T17:44:59.000001Z', 'x')],
    ['a parent that there cannot be', changed('20261122T164500Z-full', '../../x', incremental)],
    ['a parent that is younger', changed('20261122T164500Z-full', '20261122T174501Z-full', incremental)],
    ['a parent of a full backup', changed('20261122T174500Z-incr', '20261122T174500Z-full', incremental)],
    ['changes from nowhere', changed('wal-summaries', 'file-times', incremental)],
    ['more than any note', Buffer.alloc(100_000, 0x20)],
  ])('is not believed with %s', (_, bytes) => {
    expect(() => parseAttemptNote(bytes, 'x')).toThrow(/could not (trust|read) x/);
  });
});
