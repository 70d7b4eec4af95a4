/**
 * Telling the end of the WAL from a hole in it. The file asked for is absent in every repository; whether WAL goes on behind it is
 * judged on all of them together, so each must answer.
 */
import { switchPointOf } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segmentName, segmentNumber, segnoOfLsn, type HistoryFile, type SegmentFile } from '../postgres/wal-name.ts';
import type { CallOptions } from '../store/store.ts';
import type { Repository } from './repository.ts';
import { firstStoredAfter, timelinesFrom, type StoredTimeline } from './stored-after.ts';
import { readHistories } from './stored-histories.ts';
import { storedSegmentSize } from './stored-segment-size.ts';

export interface HoleOptions extends CallOptions {
  systemId: bigint;
  /** Of the cluster; where it is unknown, the stored segments tell. */
  segmentBytes: number | undefined;
}

/** Evidence that WAL goes on: a stored file's name, or what shows that a timeline exists. */
export interface Hole {
  next: string;
}

const SEGMENTS = ['segment', 'partial'] as const;

/**
 * Whether an object with a higher segment number is stored on the same timeline, or on one that descends from it at or after that
 * segment. `undefined`: proven that there is none. Throws `damaged` where a history that decides cannot be read.
 */
export async function findSegmentHole(
  repositories: readonly Repository[],
  file: SegmentFile,
  options: HoleOptions,
): Promise<Hole | undefined> {
  const [same, timelines] = await Promise.all([
    everywhere(repositories, (one) => firstStoredAfter(one, file.timeline, file.name, { ...options, kinds: SEGMENTS })),
    everywhere(repositories, (one) => timelinesFrom(one, file.timeline, options)),
  ]);
  const next = lowest(same);
  if (next !== undefined) return { next };
  return findOnDescendants(repositories, file, timelines, options);
}

async function findOnDescendants(
  repositories: readonly Repository[],
  file: SegmentFile,
  timelines: readonly StoredTimeline[][],
  options: HoleOptions,
): Promise<Hole | undefined> {
  const holders = new Map<TimelineId, Repository[]>();
  for (const [index, stored] of timelines.entries()) {
    for (const { timeline, history } of stored) {
      if (!history || timeline <= file.timeline) continue;
      holders.set(timeline, [...(holders.get(timeline) ?? []), repositories[index] as Repository]);
    }
  }
  if (holders.size === 0) return undefined;
  const segmentBytes = options.segmentBytes ?? (await storedSegmentSize(repositories, [], options));
  const segno = segmentBytes === undefined ? undefined : segmentNumber(file, segmentBytes);
  if (segmentBytes === undefined || segno === undefined) return undefined;
  const { histories, damaged } = await readHistories(holders, options);
  for (const [timeline, history] of histories) {
    const left = switchPointOf(history, file.timeline);
    if (left === undefined || segnoOfLsn(left, segmentBytes) < segno) continue;
    const after = segmentName(timeline, segno, segmentBytes);
    const next = lowest(
      await everywhere(repositories, (one) => firstStoredAfter(one, timeline, after, { ...options, kinds: SEGMENTS })),
    );
    if (next !== undefined) return { next };
  }
  const [unread] = damaged;
  if (unread !== undefined) throw unread.error;
  return undefined;
}

/**
 * Whether an absent history file is missing rather than never written: something lies on its timeline, or, where recovery follows
 * the latest timeline (`latest`), on a higher one, which it would never come to.
 */
export async function findHistoryHole(
  repositories: readonly Repository[],
  file: HistoryFile,
  options: CallOptions & { latest: boolean },
): Promise<Hole | undefined> {
  const { signal } = options;
  const found = await everywhere(repositories, (one) => timelinesFrom(one, file.timeline, { signal, most: 2 }));
  const evidence = found
    .flat()
    .filter(({ timeline, files }) => (timeline === file.timeline ? files : options.latest))
    .sort((a, b) => a.timeline - b.timeline);
  const [first] = evidence;
  return first === undefined ? undefined : { next: `timeline ${first.timeline}` };
}

function everywhere<T>(repositories: readonly Repository[], ask: (one: Repository) => Promise<T>): Promise<T[]> {
  return Promise.all(repositories.map(ask));
}

function lowest(files: readonly ({ name: string } | undefined)[]): string | undefined {
  return files
    .flatMap((file) => file?.name ?? [])
    .sort()
    .at(0);
}
