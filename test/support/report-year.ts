import { textLog } from '../../src/base/log.ts';
import { lsn, formatLsn } from '../../src/postgres/lsn.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { segmentName, segmentStart } from '../../src/postgres/wal-name.ts';
import type { FactsContext } from '../../src/commands/report/gather-facts.ts';
import type { BackupSummary } from '../../src/repository/backups.ts';
import type { DrillRecord } from '../../src/repository/drill-record.ts';
import { storeDrill } from '../../src/repository/drill-records.ts';
import { backupId, type BackupId } from '../../src/repository/layout.ts';
import type { Overview } from '../../src/repository/overview.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { StoredSegments } from '../../src/repository/stored-segments.ts';
import { SYSTEM_ID, walObject } from './file-repository.ts';
import { ManualClock } from './manual-clock.ts';
import { memoryRepository, type MemoryRepository } from './memory-repository.ts';
import { putBackup } from './stored-backup.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;
export const YEAR_END: number = Date.UTC(2026, 10, 22, 18);
const BEGIN = YEAR_END - YEAR_MS;
/** The server was promoted, and nothing could be stored for some hours, at these shares of the year. */
const PROMOTED = 0.62;
const OUTAGE = 0.8;
const OUTAGE_MS: number = 9 * HOUR_MS;

/** What stands in every place where somebody else chooses a name. */
export const HOSTILE = '</script><b>nightly</b> & "co" <img src=x onerror=alert(1)>';

export interface YearOptions {
  segments?: number;
  backups?: number;
  /** Three segments are missing, a third of the year in, and the last drill failed. */
  wrong?: boolean;
  /** Segments have heads; without them times of commits are unknown. */
  heads?: boolean;
  lock?: Repository['lock'];
}

export interface ReportYear {
  overview: Overview;
  repositories: Repository[];
  context: FactsContext;
}

/** A year of a busy cluster, in memory, as an overview of listings shows it. */
export async function reportYear(options: YearOptions = {}): Promise<ReportYear> {
  const { segments = 3000, backups = 365, wrong = false, heads = false } = options;
  const lock =
    'lock' in options ? options.lock : ({ mode: 'compliance', periodMs: 60 * DAY_MS, maxMs: YEAR_MS } as const);
  const made = memoryRepository({ lock });
  const repository = { ...made.repository, retention: { windowMs: 14 * DAY_MS, fullBackups: 2 } };
  const timelines = [new StoredSegments(), new StoredSegments()] as const;
  const fork = Math.floor(segments * PROMOTED);
  for (let segno = 0; segno < segments; segno += 1) {
    if (wrong && Math.abs(segno - Math.floor(segments / 3)) <= 1) continue;
    const storedAt = storedAtOf(segno, segments);
    const storedBytes = 2_000_000 + ((segno * 7919) % 9_000_000);
    timelines[segno < fork ? 0 : 1].push({ segno: BigInt(segno), storedAt, storedBytes, repositories: [1] });
    if (heads) putHead(made, segno, segno < fork ? 1 : 2, storedAt);
  }
  await putDrills(repository, wrong);
  const switchLsn = lsn(BigInt(fork) * BigInt(SEGMENT_BYTES) + 64n);
  const history = { timeline: timelineId(2), entries: [{ timeline: timelineId(1), switchLsn, reason: HOSTILE }] };
  const overview: Overview = {
    systemId: SYSTEM_ID,
    repositories: [repository],
    backups: (await summaries(segments, backups)).map((summary) => ({ summary, repositories: [1] })),
    unfinished: [],
    damaged: [],
    failures: [],
    inventory: {
      segmentBytes: SEGMENT_BYTES,
      timelines: new Map(timelines.map((stored, at) => [timelineId(at + 1), { segments: stored, partials: [] }])),
      histories: new Map([[timelineId(2), history]]),
      failures: [],
      damagedHistories: [],
      strange: [],
      falseSeals: [],
      isSealed: false,
    },
  };
  const context = {
    signal: new AbortController().signal,
    clock: new ManualClock(YEAR_END),
    log: textLog('test', 'error', () => {}),
    by: 'walhold 0.1.0 on <b>db1</b>',
    asOf: undefined,
    config: { jobs: 4 } as FactsContext['config'],
  };
  return { overview, repositories: [repository], context };
}

function storedAtOf(segno: number, segments: number): Date {
  // Until three minutes ago.
  const at = BEGIN + ((YEAR_MS - 180_000) * segno) / Math.max(1, segments - 1);
  const outage = BEGIN + YEAR_MS * OUTAGE;
  return new Date(at > outage && at < outage + OUTAGE_MS ? outage + OUTAGE_MS : at);
}

function putHead({ memory }: MemoryRepository, segno: number, timeline: number, storedAt: Date): void {
  const name = segmentName(timelineId(timeline), BigInt(segno), SEGMENT_BYTES);
  const delayMs = 2000 + ((segno * 104_729) % 90_000);
  const lastCommitAt = new Date(storedAt.getTime() - delayMs).toISOString();
  const endLsn = formatLsn(lsn(segmentStart(BigInt(segno + 1), SEGMENT_BYTES) - 16n));
  const { key, bytes } = walObject(name, 'wal', { commits: 9, lastCommitAt, endLsn });
  memory.put(key, bytes, { storedAt });
}

/** A full one every seventh time, on which the others build. */
async function summaries(segments: number, count: number): Promise<BackupSummary[]> {
  const nowhere = { put: () => Promise.resolve() };
  const positions = { startLsn: lsn(40n), stopLsn: lsn(80n), segmentBytes: SEGMENT_BYTES };
  const { parts: _, ...template } = await putBackup(nowhere, positions);
  const made: BackupSummary[] = [];
  for (let n = 0; n < count; n += 1) {
    const at = Math.floor((BEGIN + (YEAR_MS * (n + 0.5)) / count) / 1000) * 1000;
    const segno = Math.floor((segments * (n + 0.5)) / count);
    const startLsn = lsn(BigInt(segno) * BigInt(SEGMENT_BYTES) + 40n);
    const type = n % 7 === 0 ? 'full' : 'incremental';
    const parent = type === 'full' ? undefined : made.at(-1)?.id;
    const timeline = timelineId(segno < Math.floor(segments * PROMOTED) ? 1 : 2);
    const time = new Date(at).toISOString();
    const growing = 400e9 + (n / count) * 250e9;
    made.push({
      ...template,
      id: backupId(new Date(at), type),
      type,
      parent,
      label: n === count - 1 ? HOSTILE : n % 7 === 0 ? 'weekly' : 'nightly',
      startedAt: time,
      stoppedAt: new Date(at + 20_000).toISOString(),
      startLsn,
      stopLsn: lsn(startLsn + 4000n),
      timeline,
      sizeBytes: growing,
      storedBytes: Math.round(type === 'full' ? growing / 3.4 : growing / 45),
    });
  }
  return made;
}

async function putDrills(repository: Repository, wrong: boolean): Promise<void> {
  for (let week = 0; week < 52; week += 1) {
    const at = new Date(BEGIN + week * 7 * DAY_MS + 5 * HOUR_MS);
    const ok = week !== 30 && !(wrong && week === 51);
    const record: DrillRecord = {
      systemId: SYSTEM_ID,
      at,
      by: 'walhold 0.1.0 on drills',
      ok,
      backup: backupId(new Date(at.getTime() - DAY_MS), 'full') as BackupId,
      target: ok ? 'the end of the WAL' : HOSTILE,
      targetReached: ok,
      rtoSeconds: ok ? 1500 + week * 14 + ((week * 37) % 11) * 25 : undefined,
      bytes: ok ? 300_000_000_000 : undefined,
      walBytes: ok ? 9_000_000_000 : undefined,
      restoreSeconds: ok ? 1200 : undefined,
      replaySeconds: ok ? 300 : undefined,
      lastCommitAt: ok ? new Date(at.getTime() - 41_000).toISOString() : undefined,
      rpoSeconds: ok ? 41 : undefined,
      checks: [{ name: 'page checksums', ok, detail: ok ? 'all are right' : `base/5/16384, block 7: ${HOSTILE}` }],
    };
    await storeDrill(repository, record, { signal: new AbortController().signal });
  }
}
