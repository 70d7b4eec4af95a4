import type { BigIntStats } from 'node:fs';
import { protectionOf } from './file-retention.ts';
import type { ObjectInfo } from './store.ts';

/**
 * Inode, size and time of last writing: another file under the name has another tag, links and modes do not change it. `now` (ms)
 * decides which retention has run out.
 */
export function objectInfo(key: string, stats: BigIntStats, now: number): ObjectInfo {
  return {
    key,
    bytes: Number(stats.size),
    storedAt: stats.mtime,
    tag: `${stats.dev}-${stats.ino}-${stats.size}-${stats.mtimeNs}`,
    protection: protectionOf(stats, now),
  };
}
