import { WalholdError } from '../base/errors.ts';
import { formatLsn, lsn, parseLsn, type Lsn } from './lsn.ts';
import { formatTimeline, isTimelineId, timelineId, type TimelineId } from './timeline.ts';
import { segnoOfLsn } from './wal-name.ts';

/** One line of a history file: this timeline was left at `switchLsn`. */
export interface HistoryEntry {
  readonly timeline: TimelineId;
  readonly switchLsn: Lsn;
  readonly reason: string;
}

/** The contents of `<timeline>.history`: the ancestors, oldest first. Timeline 1 has none, and no file. */
export interface TimelineHistory {
  readonly timeline: TimelineId;
  readonly entries: readonly HistoryEntry[];
}

const MOST_BYTES = 16 * 1024 * 1024;
/** A promotion adds one line; no cluster comes near. */
const MOST_ENTRIES = 100_000;

/** The history of a timeline that has no file: it descends from nothing. */
export function rootHistory(timeline: TimelineId): TimelineHistory {
  return { timeline, entries: [] };
}

/**
 * Reads a history file as readTimeLineHistory (access/transam/timeline.c) does: blank lines and `#` comments are passed
 * over, ancestors must rise and lie below `timeline`. The switch points need not rise: recovery to a point before a fork
 * leaves a file in which they fall. Throws `bad-format`.
 */
export function parseHistory(timeline: TimelineId, text: string): TimelineHistory {
  const name = `${formatTimeline(timeline)}.history`;
  if (text.length > MOST_BYTES) throw new WalholdError('bad-format', `${name} is ${text.length} bytes long`);
  if (text.includes('\0')) throw new WalholdError('bad-format', `${name} contains a zero byte`);
  const entries: HistoryEntry[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const entry = parseEntry(line);
    const where = `line ${index + 1} of ${name}`;
    if (entry === undefined) throw new WalholdError('bad-format', `${where} is not "timeline, switch point, reason"`);
    const last = entries.at(-1);
    if (last !== undefined && entry.timeline <= last.timeline) {
      throw new WalholdError('bad-format', `${where}: timeline ${entry.timeline} does not follow ${last.timeline}`);
    }
    if (entry.timeline >= timeline) {
      throw new WalholdError('bad-format', `${where}: timeline ${entry.timeline} cannot be an ancestor of ${timeline}`);
    }
    entries.push(entry);
    if (entries.length > MOST_ENTRIES) throw new WalholdError('bad-format', `${name} has over ${MOST_ENTRIES} lines`);
  }
  return { timeline, entries };
}

function parseEntry(line: string): HistoryEntry | undefined {
  const match = /^\s*([0-9]{1,10})\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(?:\s(.*))?$/.exec(line);
  if (match === null) return undefined;
  const timeline = Number(match[1]);
  const switchLsn = parseLsn(match[2] ?? '');
  if (!isTimelineId(timeline) || switchLsn === undefined) return undefined;
  return { timeline, switchLsn, reason: match[3] ?? '' };
}

/** Writes the file as PostgreSQL does (writeTimeLineHistory). */
export function formatHistory(history: TimelineHistory): string {
  return history.entries
    .map(({ timeline, switchLsn, reason }) => `${timeline}\t${formatLsn(switchLsn)}\t${reason}\n`)
    .join('');
}

/** All timelines that recovery along this one may read, oldest first, itself last. */
export function lineage(history: TimelineHistory): TimelineId[] {
  return [...history.entries.map((entry) => entry.timeline), history.timeline];
}

/** Where `parent` was left on the way to this timeline. `undefined`: it is no ancestor. */
export function switchPointOf(history: TimelineHistory, parent: TimelineId): Lsn | undefined {
  return history.entries.find((entry) => entry.timeline === parent)?.switchLsn;
}

/** Where this timeline left its direct parent. `undefined`: it has none. */
export function forkPoint(history: TimelineHistory): Lsn | undefined {
  return history.entries.at(-1)?.switchLsn;
}

/** The timeline that the byte at this position belongs to in this history (tliOfPointInHistory, for the newest branch). */
export function timelineAt(history: TimelineHistory, position: Lsn): TimelineId {
  return newestFirst(history).find(({ begin }) => begin <= position)?.timeline ?? history.timeline;
}

/**
 * The timelines whose copy of a segment recovery asks for, in its order: newest first, none that began in a later
 * segment (XLogFileReadAnyTLI). The first that exists is the one to read.
 */
export function timelinesOfSegment(history: TimelineHistory, segno: bigint, segmentBytes: number): TimelineId[] {
  return newestFirst(history)
    .filter(({ begin }) => segnoOfLsn(begin, segmentBytes) <= segno)
    .map(({ timeline }) => timeline);
}

/**
 * The newest timeline that descends from `start` as far as the archive shows (findNewestTimeLine): history files are
 * asked for one by one until the first that does not exist. `exists` must throw when it could not find out.
 */
export async function findNewestTimeline(
  start: TimelineId,
  exists: (timeline: TimelineId) => boolean | Promise<boolean>,
): Promise<TimelineId> {
  let newest = start;
  while (newest < 0xffff_ffff && (await exists(timelineId(newest + 1)))) newest = timelineId(newest + 1);
  return newest;
}

function newestFirst(history: TimelineHistory): { timeline: TimelineId; begin: Lsn }[] {
  return lineage(history)
    .map((timeline, index) => ({ timeline, begin: history.entries[index - 1]?.switchLsn ?? lsn(0n) }))
    .reverse();
}
