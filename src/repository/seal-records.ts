import { hasCode } from '../base/errors.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segmentsPerLog } from '../postgres/wal-name.ts';
import type { CallOptions } from '../store/store.ts';
import { isSealKey, SEAL_PREFIX, sealKey } from './layout.ts';
import type { Repository } from './repository.ts';
import { readExpired } from './retention/expired-records.ts';
import { formatSealRecord, parseSealRecord, SEAL_MAX_BYTES, type SealRecord } from './seal-record.ts';
import { countOf, missingIn, unionOf, type SegmentRuns } from './segment-runs.ts';
import { newestTimedRecord, storeTimedRecord, type FoundTimed } from './timed-record.ts';

export type FoundSeals = FoundTimed<SealRecord>;

const SEAL = {
  prefix: SEAL_PREFIX,
  isKey: isSealKey,
  keyOf: sealKey,
  maxBytes: SEAL_MAX_BYTES,
  format: formatSealRecord,
  parse: parseSealRecord,
} as const;

export interface SealQuestion extends CallOptions {
  systemId: bigint;
  segmentBytes: number;
  /** This machine's. */
  clock: { now(): number };
}

/** The newest seal of this cluster, and the newer ones that nobody believes. */
export async function newestSeal(
  repository: Pick<Repository, 'store' | 'url'>,
  { systemId, segmentBytes, clock, signal }: SealQuestion,
): Promise<FoundSeals> {
  const now = clock.now() + (repository.store.clockSkewMs?.() ?? 0);
  const { newest, bad } = await newestTimedRecord(repository, SEAL, { signal, systemId, now });
  if (newest === undefined || newest.record.segmentBytes === segmentBytes) return { newest, bad };
  const reason = `it says that segments have ${newest.record.segmentBytes} bytes, not ${segmentBytes}`;
  return { newest: undefined, bad: [...bad, { key: newest.key, reason }] };
}

/** Resolves to its key. */
export async function storeSeal(repository: Repository, record: SealRecord, { signal }: CallOptions): Promise<string> {
  return await storeTimedRecord(repository, record, SEAL, { signal });
}

/** What of a seal may still be so: not the logs of which `expire` has given up anything since. */
export class UsableSeal {
  readonly key: string;
  readonly #record: SealRecord;
  readonly #perLog: bigint;
  readonly #givenUp: ReadonlyMap<TimelineId, SegmentRuns>;

  constructor({ key, record }: NonNullable<FoundSeals['newest']>, givenUp: ReadonlyMap<TimelineId, SegmentRuns>) {
    this.key = key;
    this.#record = record;
    this.#perLog = BigInt(segmentsPerLog(record.segmentBytes));
    this.#givenUp = givenUp;
  }

  hasTimeline(timeline: TimelineId): boolean {
    return this.#record.logs.has(timeline);
  }

  /** When the log's first segment was stored. `undefined`: nothing is said of this log. */
  storedAt(timeline: TimelineId, log: number): Date | undefined {
    const time = this.#record.logs.get(timeline)?.get(log);
    return time === undefined || this.isGivenUp(timeline, log) ? undefined : new Date(time);
  }

  isGivenUp(timeline: TimelineId, log: number): boolean {
    const runs = this.#givenUp.get(timeline);
    if (runs === undefined) return false;
    const first = BigInt(log) * this.#perLog;
    return countOf(missingIn(runs, first, first + this.#perLog - 1n)) < this.#perLog;
  }
}

/** Three requests, without a seal one. `undefined`: there is none, or these credentials may not see it. */
export async function readSeal(repository: Repository, question: SealQuestion): Promise<UsableSeal | undefined> {
  try {
    const { newest } = await newestSeal(repository, question);
    return newest === undefined ? undefined : new UsableSeal(newest, await readGivenUp(repository, question));
  } catch (error) {
    if (hasCode(error, 'denied')) return undefined;
    throw error;
  }
}

/** All the WAL that runs of `expire` gave up. */
export async function readGivenUp(
  repository: Repository,
  { systemId, segmentBytes, signal }: SealQuestion,
): Promise<ReadonlyMap<TimelineId, SegmentRuns>> {
  const { newest } = await readExpired(repository, { systemId, since: Infinity, signal });
  const ranges = newest?.segmentBytes === segmentBytes ? newest.wal : [];
  return new Map([...Map.groupBy(ranges, ({ timeline }) => timeline)].map(([key, runs]) => [key, unionOf([runs])]));
}
