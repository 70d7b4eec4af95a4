import { describe, expect, test } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { parseHistory, rootHistory } from '../../../src/postgres/timeline-history.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import type { ServerRecord } from '../../../src/repository/backup-record.ts';
import {
  whyNoParent,
  whyNotByPages,
  whyNotBySummaries,
  type ClusterNow,
  type PageFacts,
  type ParentRecord,
} from '../../../src/repository/incremental-parent.ts';
import { parseBackupId, type BackupId } from '../../../src/repository/layout.ts';

const SERVER: ServerRecord = {
  systemId: 7n,
  version: '15.17',
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
};

const PARENT: ParentRecord = {
  id: parseBackupId('20261122T174500Z-full') as BackupId,
  type: 'full',
  startedAt: '2026-11-22T17:45:00.123456Z',
  startLsn: lsn(0x2000028n),
  stopLsn: lsn(0x2000100n),
  timeline: timelineId(1),
  server: SERVER,
  settings: {},
};

const NOW: ClusterNow = {
  server: SERVER,
  history: rootHistory(timelineId(1)),
  startLsn: lsn(0x2000100n),
  id: parseBackupId('20261122T184500Z-incr') as BackupId,
};

const onTimeline2 = (fork: string): Pick<ClusterNow, 'history'> => ({
  history: parseHistory(timelineId(2), `1\t${fork}\tpromoted\n`),
});

describe('a backup builds on an older one', () => {
  test.each<[string, Partial<ClusterNow>]>([
    ['of the same timeline', {}],
    ['of the timeline before, that ended before the fork', onTimeline2('0/2000100')],
    ['before anything has begun', { startLsn: undefined }],
    ['after a minor update', { server: { ...SERVER, version: '15.18' } }],
    ['from a standby', { server: { ...SERVER, inRecovery: true } }],
  ])('%s', (_, change) => {
    expect(whyNoParent(PARENT, { ...NOW, ...change })).toBeUndefined();
  });

  test('of the same second', () => {
    const id = parseBackupId('20261122T174500Z-incr') as BackupId;
    expect(whyNoParent(PARENT, { ...NOW, id })).toBeUndefined();
  });
});

describe('a backup does not build on one', () => {
  test.each<[string, Partial<ServerRecord>, string]>([
    ['of another cluster', { systemId: 8n }, 'is of cluster 7'],
    ['of another major', { major: 16, version: '16.1' }, 'is of PostgreSQL 15.17, and the server is 16.1'],
    ['of another catalog', { catalogVersion: 1 }, 'is of PostgreSQL 15.17'],
    ['of other blocks', { blockBytes: 4096 }, 'with blocks of other sizes'],
    ['of other files', { blocksPerFile: 1024 }, 'with blocks of other sizes'],
    ['of other segments', { segmentBytes: 1024 * 1024 }, 'with blocks of other sizes'],
    ['with checksums, when they are off', { dataChecksums: false }, 'data checksums were turned off after backup'],
  ])('%s', (_, change, reason) => {
    expect(whyNoParent(PARENT, { ...NOW, server: { ...SERVER, ...change } })).toContain(reason);
  });

  test('without checksums, when they are on', () => {
    const parent = { ...PARENT, server: { ...SERVER, dataChecksums: false } };
    expect(whyNoParent(parent, NOW)).toBe('data checksums were turned on after backup 20261122T174500Z-full');
  });

  test.each<[string, Partial<ClusterNow>, string]>([
    [
      'that ended after the fork, though it began before',
      onTimeline2('0/2000080'),
      'timeline 2 left timeline 1 at 0/2000080, before backup 20261122T174500Z-full ended at 0/2000100',
    ],
    [
      'of a timeline that is not in the past of this one',
      { history: parseHistory(timelineId(3), '2\t0/1000000\t\n') },
      'is of timeline 1, which timeline 3 does not descend from',
    ],
    [
      'that had not ended where this one starts',
      { startLsn: lsn(0x20000ffn) },
      'this backup starts at 0/20000FF, before backup 20261122T174500Z-full ended at 0/2000100',
    ],
    [
      'whose name lies in the future',
      { id: parseBackupId('20261122T174459Z-incr') as BackupId },
      'by the clock of this host backup 20261122T174500Z-full is yet to come',
    ],
  ])('%s', (_, change, reason) => {
    expect(whyNoParent(PARENT, { ...NOW, ...change })).toContain(reason);
  });

  test('of a newer timeline', () => {
    const parent = { ...PARENT, timeline: timelineId(2) };
    expect(whyNoParent(parent, NOW)).toContain('is of timeline 2, which timeline 1 does not descend from');
  });
});

describe('the LSNs in pages', () => {
  const FACTS: PageFacts = { server: SERVER, walLogHints: false, serverStartedAt: '2026-11-22T17:45:00.123455Z' };
  const none = { ...SERVER, dataChecksums: false };
  const hints = { ...none, walLogHints: true };

  test('tell what has changed, with checksums or with hints in the WAL', () => {
    expect(whyNotByPages(PARENT, FACTS)).toBeUndefined();
    expect(whyNotByPages({ ...PARENT, server: hints }, { ...FACTS, server: hints, walLogHints: true })).toBeUndefined();
  });

  test.each<[string, Partial<ParentRecord>, Partial<PageFacts>, string]>([
    ['with neither now', {}, { server: none }, 'is on, and so the LSNs in pages do not show every change'],
    [
      'with hints in the WAL of the primary, but not on this standby',
      { server: hints },
      { server: hints, walLogHints: false },
      'is on, and so the LSNs in pages do not show every change',
    ],
    ['with hints that are not in pg_control yet', {}, { server: none, walLogHints: true }, 'is on, and so the LSNs'],
    ['with neither then', { server: none }, {}, 'was on when backup 20261122T174500Z-full was taken'],
    [
      'after a restart',
      {},
      { serverStartedAt: '2026-11-22T17:45:00.123456Z' },
      'the server was restarted after backup 20261122T174500Z-full began',
    ],
    ['when nobody knows since when it runs', {}, { serverStartedAt: '' }, 'the server was restarted after'],
  ])('tell nothing %s', (_, parent, facts, reason) => {
    expect(whyNotByPages({ ...PARENT, ...parent }, { ...FACTS, ...facts })).toContain(reason);
  });
});

describe('WAL summaries', () => {
  const server = { ...SERVER, major: 17 };

  test('tell what has changed since a full backup, and since one that was made from them', () => {
    const facts = { server, summarizeWal: true };
    expect(whyNotBySummaries(PARENT, facts)).toBeUndefined();
    const settings = { changes: 'wal-summaries' };
    expect(whyNotBySummaries({ ...PARENT, type: 'incremental', settings }, facts)).toBeUndefined();
  });

  test.each<[string, Partial<ParentRecord>, { server: ServerRecord; summarizeWal: boolean }, string]>([
    ['before 17', {}, { server: SERVER, summarizeWal: true }, 'PostgreSQL 15 has no WAL summaries'],
    ['when they are not made', {}, { server, summarizeWal: false }, 'summarize_wal is off'],
    [
      'since one that was made by pages',
      { type: 'incremental', settings: { changes: 'page-lsn' } },
      { server, summarizeWal: true },
      'was not made from WAL summaries',
    ],
  ])('tell nothing %s', (_, parent, facts, reason) => {
    expect(whyNotBySummaries({ ...PARENT, ...parent }, facts)).toContain(reason);
  });
});
