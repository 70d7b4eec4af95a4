import { describe, expect, it } from 'vitest';
import { whyNotResumed, whyOtherType, type ServerNow } from '../../../../src/commands/backup/resume/resume-rule.ts';
import { lsn } from '../../../../src/postgres/lsn.ts';
import { timelineId } from '../../../../src/postgres/timeline.ts';
import type { AttemptNote, NotedIncrement } from '../../../../src/repository/attempt-note.ts';
import type { InterruptedBackup } from '../../../../src/repository/interrupted-backup.ts';
import type { BackupId } from '../../../../src/repository/layout.ts';
import { SYSTEM_ID } from '../../../support/file-repository.ts';
import { memoryRepository } from '../../../support/memory-repository.ts';

const NOW = Date.parse('2026-11-22T18:00:00Z');
const DAY_MS = 86_400_000;
const { repository } = memoryRepository();

const server: ServerNow = {
  now: NOW,
  host: 'host',
  dataDirectory: '/data',
  catalogVersion: 202209061,
  dataChecksums: true,
  inRecovery: false,
  tablespaces: ['16400'],
  timeline: 1,
  fullPageWrites: true,
  fsync: true,
  bootedAt: NOW - 100 * DAY_MS,
};

function note(change: Partial<AttemptNote> = {}): AttemptNote {
  return {
    systemId: SYSTEM_ID,
    backup: '20261122T174500Z-full' as BackupId,
    attempt: 1,
    at: '2026-11-22T17:45:01.000Z',
    by: 'walhold 0.1.0 on host',
    dataDirectory: '/data',
    host: 'host',
    startedAt: '2026-11-22T17:45:00.123456Z',
    startLsn: lsn(0x28n),
    checkpointLsn: lsn(0x60n),
    timeline: timelineId(1),
    catalogVersion: 202209061,
    dataChecksums: true,
    inRecovery: false,
    tablespaces: ['16400'],
    session: { pid: 4711, startedAt: '2026-11-22T17:44:59.000001Z' },
    increment: undefined,
    ...change,
  };
}

const found: InterruptedBackup = {
  id: '20261122T174500Z-full' as BackupId,
  notes: [note(), note({ attempt: 2 })],
  fault: undefined,
  nextAttempt: 3,
  parts: new Map([[1, [repository]]]),
  partBytes: 1000,
  config: [],
  manifest: [],
  lastStoredAt: new Date(NOW - 1000),
};

const INCREMENTAL = '20261122T174500Z-incr' as BackupId;
const ON: NotedIncrement = { parent: '20261122T164500Z-full' as BackupId, changes: 'page-lsn' };
const incremental: InterruptedBackup = {
  ...found,
  id: INCREMENTAL,
  notes: [1, 2].map((attempt) => note({ backup: INCREMENTAL, attempt, increment: ON })),
};

/** One whose second attempt noted this. */
function incrementalWith(second: Partial<NotedIncrement> | undefined): InterruptedBackup {
  const increment = second === undefined ? undefined : { ...ON, ...second };
  const notes = incremental.notes.map((one, index) => (index === 1 ? { ...one, increment } : one));
  return { ...incremental, notes };
}

describe('an interrupted backup', () => {
  it('is gone on with by the server that it was taken from, days later, too', () => {
    expect(whyNotResumed(found, server)).toBeUndefined();
    expect(whyNotResumed(found, { ...server, now: NOW + 3.9 * DAY_MS })).toBeUndefined();
    expect(whyNotResumed(found, { ...server, fsync: false })).toBeUndefined();
    expect(whyNotResumed(incremental, server)).toBeUndefined();
  });

  it.each<[string, Partial<InterruptedBackup>, Partial<ServerNow>, string]>([
    ['one on an unknown parent', { id: INCREMENTAL }, {}, 'what it builds on was not noted'],
    ['one that lost its parent', incrementalWith(undefined), {}, 'do not build on the same backup'],
    ['one on two parents', incrementalWith({ parent: INCREMENTAL }), {}, 'do not build on the same backup'],
    ['one in two ways', incrementalWith({ changes: 'wal-summaries' }), {}, 'do not build on the same backup'],
    ['with a note that cannot be trusted', { fault: 'could not trust it' }, {}, 'could not trust it'],
    ['without notes', { notes: [] }, {}, 'it had hardly begun'],
    ['without the first note', { notes: [note({ attempt: 2 })] }, {}, 'it had hardly begun'],
    ['without parts', { parts: new Map() }, {}, 'it had hardly begun'],
    ['of the future', { id: '20991122T174500Z-full' as BackupId }, {}, 'its name is of the future'],
    ['with a manifest', { manifest: [repository] }, {}, 'its manifest is stored already'],
    ['as old as expiry takes it', {}, { now: NOW + 4.1 * DAY_MS }, 'nothing was stored of it for 4 days'],
    ['without full pages', {}, { fullPageWrites: false }, 'full_page_writes is off'],
    ['that a power cut fell into', {}, { fsync: false, bootedAt: NOW - 60_000 }, 'fsync is off'],
    ['of another host', {}, { host: 'other' }, 'it was taken from /data on host'],
    ['of another directory', {}, { dataDirectory: '/other' }, 'it was taken from /data on host'],
    ['of a standby since promoted', { notes: [note({ inRecovery: true })] }, {}, 'the server was a standby then'],
    ['of another timeline', {}, { timeline: 2 }, 'it is on timeline 1, the server on 2'],
    ['of other tablespaces', {}, { tablespaces: ['16400', '16401'] }, 'there were other tablespaces then'],
    ['of another version', {}, { catalogVersion: 202307071 }, 'the server was of another version'],
    ['before checksums', { notes: [note({ dataChecksums: false })] }, {}, 'data_checksums was off then'],
    [
      'of which one attempt was without checksums',
      { notes: [note(), note({ attempt: 2, dataChecksums: false })] },
      {},
      'data_checksums was off then',
    ],
  ])('is not gone on with: %s', (_, change, now, why) => {
    expect(whyNotResumed({ ...found, ...change }, { ...server, ...now })).toContain(why);
  });
});

it.each([
  [found.id, 'full', undefined],
  [found.id, 'auto', undefined],
  [found.id, 'incremental', 'it is a full one, and an incremental one is asked for'],
  [INCREMENTAL, 'incremental', undefined],
  [INCREMENTAL, 'auto', undefined],
  [INCREMENTAL, 'full', 'it is an incremental one, and a full one is asked for'],
] as const)('%s is gone on with by --type %s only if it is of that type', (id, type, why) => {
  expect(whyOtherType(id, type)).toBe(why);
});
