/** Everything that is stored, over all repositories together, by bulk listings: what `list`, `status` and `verify` start from. */
import { parseIso } from '../postgres/timestamp.ts';
import type { CallOptions } from '../store/store.ts';
import { readBackups, type BackupList, type BackupSummary, type StoredBackup } from './backups.ts';
import type { BackupPoint } from './coverage.ts';
import { identify } from './identified.ts';
import { readWalInventory, type ReadInventory } from './read-wal-inventory.ts';
import type { Repository, RepositoryFailure } from './repository.ts';
import type { SealUse } from './sealed-wal.ts';
import { storedSegmentSize } from './stored-segment-size.ts';

export interface Overview extends BackupList {
  systemId: bigint;
  /** `undefined`: no backup and no segment is stored. */
  inventory: ReadInventory | undefined;
  /** Those that answered, in order of their numbers. */
  repositories: readonly Repository[];
}

/**
 * Throws when no repository could be read, and `identity` when they belong to different clusters. A repository that fails half
 * way is among the failures; what it had said until then is not taken back.
 */
export async function readOverview(
  repositories: readonly Repository[],
  options: CallOptions & {
    jobs: number;
    systemId?: bigint | undefined;
    /** The first segment number that is asked for; `undefined`: all WAL is listed. */
    walFrom?: (backups: readonly StoredBackup[]) => bigint | undefined;
    /** See `read-wal-inventory.ts`. */
    seals?: SealUse | undefined;
  },
): Promise<Overview> {
  const { systemId, known, failures } = await identify(repositories, options);
  const backups = await readBackups(known, { ...options, systemId });
  const segmentBytes = await storedSegmentSize(known, backups.backups, options);
  const from = options.walFrom?.(backups.backups);
  const inventory =
    segmentBytes === undefined
      ? undefined
      : await readWalInventory(known, {
          signal: options.signal,
          segmentBytes,
          systemId,
          seals: options.seals,
          ...(from === undefined ? {} : { from }),
        });
  const failed = unique([...failures, ...backups.failures, ...(inventory?.failures ?? [])]);
  return {
    ...backups,
    systemId,
    inventory,
    failures: failed,
    repositories: known.filter((repository) => !failed.some((one) => one.repository === repository)),
  };
}

/** What coverage asks of a backup. */
export interface SummaryPoint extends BackupPoint {
  readonly summary: BackupSummary;
}

export function pointOf(summary: BackupSummary): SummaryPoint {
  const { id, timeline, startLsn, stopLsn, stoppedAt } = summary;
  return { id, timeline, startLsn, stopLsn, stoppedAt: dateOf(stoppedAt), summary };
}

/** To the millisecond, upwards: recovery to a time must not go before it. */
function dateOf(iso: string): Date {
  const micros = parseIso(iso);
  if (micros === undefined) throw new RangeError(`${iso} is not a time`);
  return new Date(Number((micros + 999n) / 1000n));
}

function unique(failures: readonly RepositoryFailure[]): RepositoryFailure[] {
  return failures.filter((one, at) => failures.findIndex(({ repository }) => repository === one.repository) === at);
}
