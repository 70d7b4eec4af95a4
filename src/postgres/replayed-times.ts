import type { Lsn } from './lsn.ts';
import { walkRecords, type WalRecord } from './wal-records.ts';
import { endsTransaction, readTransactionEnd, type TransactionEnd } from './wal-xact.ts';

export interface ReplayedTimes {
  /** The last end of a transaction: its time is what `pg_last_xact_replay_timestamp()` says afterwards. */
  readonly last: TransactionEnd | undefined;
  /** The last that was a commit. */
  readonly lastCommit: TransactionEnd | undefined;
}

/**
 * The transactions that end in a segment before `end`, in the order of the WAL. A server that replays it remembers the times of commits and
 * aborts alike (recoveryStopsAfter, access/transam/xlogrecovery.c).
 */
export function replayedTimes(segment: Buffer, segmentStart: Lsn, end: Lsn): ReplayedTimes {
  let last: TransactionEnd | undefined;
  let lastCommit: TransactionEnd | undefined;
  const onRecord = ({ lsn, rmgr, info, bytes }: WalRecord): void => {
    if (lsn >= end || !endsTransaction(rmgr, info)) return;
    const ended = readTransactionEnd(bytes());
    last = ended ?? last;
    if (ended?.outcome === 'commit') lastCommit = ended;
  };
  walkRecords(segment, segmentStart, { verify: 'all', onRecord });
  return { last, lastCommit };
}
