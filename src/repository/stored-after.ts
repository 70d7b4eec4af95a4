import type { TimelineId } from '../postgres/timeline.ts';
import { formatTimeline, parseTimelineHex } from '../postgres/timeline.ts';
import type { WalFile } from '../postgres/wal-name.ts';
import type { CallOptions } from '../store/store.ts';
import { logPrefix, parseWalKey, timelinePrefix, WAL_PREFIX } from './layout.ts';
import type { Repository } from './repository.ts';

/** Small listings: what is looked for is among the first, or nothing is there. */
const AT_ONCE = 10;

export interface StoredAfterOptions extends CallOptions {
  /** Which files count. */
  kinds: readonly WalFile['kind'][];
}

/**
 * The first file of these kinds on a timeline that lies behind the segment `name` (24 digits), or at all without one. `undefined`:
 * proven that there is none in this repository.
 */
export async function firstStoredAfter(
  { store }: Repository,
  timeline: TimelineId,
  name: string | undefined,
  options: StoredAfterOptions,
): Promise<WalFile | undefined> {
  const prefix = timelinePrefix(formatTimeline(timeline));
  // The segment itself sorts behind its own partials and labels.
  let after = name === undefined ? undefined : `${logPrefix(name)}${name}.zst`;
  for (;;) {
    let seen = 0;
    const range = after === undefined ? {} : { after };
    for await (const entry of store.list(prefix, { signal: options.signal, limit: AT_ONCE, ...range })) {
      if (entry.kind === 'directory') continue;
      seen += 1;
      after = entry.key;
      const file = parseWalKey(entry.key)?.file;
      if (file !== undefined && options.kinds.includes(file.kind)) return file;
    }
    if (seen === 0) return undefined;
  }
}

/** What is stored of one timeline, as a listing of `wal/` shows it. */
export interface StoredTimeline {
  timeline: TimelineId;
  history: boolean;
  /** Something lies in its directory. */
  files: boolean;
}

/** The timelines of which anything is stored, from `from` on, rising. `most`: as many are enough. */
export async function timelinesFrom(
  { store }: Repository,
  from: TimelineId,
  options: CallOptions & { most?: number },
): Promise<StoredTimeline[]> {
  const found = new Map<TimelineId, StoredTimeline>();
  const { signal, most } = options;
  // `00000002` sorts before both `00000002.history.zst` and `00000002/`.
  const after = `${WAL_PREFIX}${formatTimeline(from)}`;
  const limit = most === undefined ? {} : { limit: Math.max(AT_ONCE, 2 * most) };
  for await (const entry of store.list(WAL_PREFIX, { signal, delimited: true, after, ...limit })) {
    const timeline =
      entry.kind === 'directory'
        ? parseTimelineHex(entry.prefix.slice(WAL_PREFIX.length, -1))
        : parseWalKey(entry.key)?.file.timeline;
    if (timeline === undefined) continue;
    if (most !== undefined && found.size >= most && !found.has(timeline)) break;
    const known = found.get(timeline) ?? { timeline, history: false, files: false };
    const more = entry.kind === 'directory' ? { files: true } : { history: true };
    found.set(timeline, { ...known, ...more });
  }
  return [...found.values()];
}
