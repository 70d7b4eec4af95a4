import { parseLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { parseHistory } from '../../src/postgres/timeline-history.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { StoredSegments } from '../../src/repository/stored-segments.ts';
import type { WalInventory } from '../../src/repository/wal-inventory.ts';

/** An LSN from its text. */
export function at(text: string): Lsn {
  const found = parseLsn(text);
  if (found === undefined) throw new Error(`${text} is no LSN`);
  return found;
}

const MIB16 = 16 * 1024 * 1024;

/** What a test says is stored: by timeline the segment numbers (`1-5 8`), those of partials, and the history file's text. */
export interface StoredTimeline {
  segments?: string;
  partials?: readonly number[];
  history?: string;
}

/** An inventory of 16 MB segments; segment n was stored n minutes after midnight of 2026-01-01, all in repository 1. */
export function inventory(timelines: Readonly<Record<number, StoredTimeline>>): WalInventory {
  const entries = Object.entries(timelines).map(([text, stored]) => ({ timeline: timelineId(Number(text)), stored }));
  return {
    segmentBytes: MIB16,
    timelines: new Map(
      entries
        .filter(({ stored }) => stored.segments !== undefined || stored.partials !== undefined)
        .map(({ timeline, stored }) => [
          timeline,
          {
            segments: segmentsOf(stored.segments ?? ''),
            partials: (stored.partials ?? []).map((number, index) => ({
              segno: BigInt(number),
              key: `partial-${number}-${index}`,
              storedAt: storedAt(number),
              storedBytes: 1000,
              repositories: [1],
            })),
          },
        ]),
    ),
    histories: new Map(
      entries.flatMap(({ timeline, stored: { history } }) =>
        history === undefined ? [] : [[timeline, parseHistory(timeline, history)] as const],
      ),
    ),
  };
}

export function storedAt(segno: number): Date {
  return new Date(Date.UTC(2026, 0, 1) + segno * 60_000);
}

function segmentsOf(text: string): StoredSegments {
  const segments = new StoredSegments();
  for (const part of text.split(' ').filter((one) => one !== '')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    for (let n = first; n <= last; n += 1) {
      segments.push({ segno: BigInt(n), storedAt: storedAt(n), storedBytes: 1000, repositories: [1] });
    }
  }
  return segments;
}
