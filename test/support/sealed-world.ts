import { lsn } from '../../src/postgres/lsn.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { segmentName } from '../../src/postgres/wal-name.ts';
import type { ObjectAbout } from '../../src/repository/object-head.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { formatExpiredRecord } from '../../src/repository/retention/expired-record.ts';
import { sealWal, type SealReport } from '../../src/repository/seal-wal.ts';
import { SYSTEM_ID, walObject } from './file-repository.ts';
import { memoryRepository } from './memory-repository.ts';
import { NOW, type MemoryStore } from './memory-store.ts';
import { putBackup } from './stored-backup.ts';

/** Four segments make a log. */
export const GIB: number = 1024 ** 3;
export const PER_LOG = 4;

export const clock = { now: (): number => NOW.getTime(), sleep: (): Promise<void> => new Promise(() => undefined) };
const { signal } = new AbortController();

/** A repository whose segments have 1 GiB, with what a test says. Segment n was stored n minutes after the year began. */
export class SealedWorld {
  readonly memory: MemoryStore;
  readonly repository: Repository;

  constructor(options: Parameters<typeof memoryRepository>[0] = {}) {
    ({ memory: this.memory, repository: this.repository } = memoryRepository(options));
  }

  putSegment(segno: number, timeline = 1, about: Partial<ObjectAbout> = {}): void {
    const { key, bytes } = walObject(nameOf(segno, timeline), 'x', about);
    this.memory.put(key, bytes, { storedAt: storedAt(segno) });
  }

  /** With a commit in each. */
  putSegments(first: number, last: number, timeline = 1): void {
    for (let segno = first; segno <= last; segno += 1) {
      const lastCommitAt = `${storedAt(segno).toISOString().slice(0, -1)}000Z`;
      this.putSegment(segno, timeline, { commits: 1, lastCommitAt });
    }
  }

  removeSegment(segno: number, timeline = 1): void {
    this.memory.objects.delete(keyOf(segno, timeline));
  }

  /** One that began in a segment and ended in it. */
  async putBackup(segno: number, timeline = 1): Promise<void> {
    const startLsn = lsn(BigInt(segno) * BigInt(GIB) + 40n);
    const at = storedAt(segno);
    const stoppedAt = `${at.toISOString().slice(0, 19)}Z`;
    const id = `${stoppedAt.replaceAll(/[-:]/g, '')}-full`;
    const put = (key: string, bytes: Uint8Array | string): Promise<void> => {
      this.memory.put(key, Buffer.from(bytes), { storedAt: at });
      return Promise.resolve();
    };
    const parts = [{ PG_VERSION: '15\n' }];
    const stopLsn = lsn(startLsn + 4000n);
    await putBackup({ put }, { id, startLsn, stopLsn, stoppedAt, timeline, segmentBytes: GIB, parts });
  }

  putHistory(timeline: number, text: string): void {
    const { key, bytes } = walObject(`${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`, text);
    this.memory.put(key, bytes);
  }

  /** What a run of `expire` said before it removed anything. */
  putExpired(first: number, last: number, timeline = 1): void {
    const wal = [{ timeline: timelineId(timeline), first: BigInt(first), last: BigInt(last) }];
    const record = { systemId: SYSTEM_ID, at: NOW, by: 'a test', segmentBytes: GIB, backups: [], wal };
    this.memory.put('expired/20260601T000000Z.json', formatExpiredRecord(record));
  }

  async seal(at: number = NOW.getTime()): Promise<SealReport> {
    return await sealWal(this.repository, {
      signal,
      systemId: SYSTEM_ID,
      segmentBytes: GIB,
      clock: { ...clock, now: () => at },
      jobs: 2,
      by: 'a test',
    });
  }
}

export function nameOf(segno: number, timeline = 1): string {
  return segmentName(timelineId(timeline), BigInt(segno), GIB);
}

export function keyOf(segno: number, timeline = 1): string {
  return walObject(nameOf(segno, timeline), '').key;
}

export function storedAt(segno: number): Date {
  return new Date(Date.UTC(2026, 0, 1) + segno * 60_000);
}
