import { describe, expect, it } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { replayedTimes } from '../../../src/postgres/replayed-times.ts';
import { toPgMicros } from '../../../src/postgres/timestamp.ts';
import { WalBuilder } from '../../support/wal-builder.ts';

const [COMMIT, ABORT] = [0x00, 0x20];
const EVERYTHING = lsn(2n ** 64n - 1n);

describe('the transactions that a replay has seen the end of', () => {
  const wal = new WalBuilder();
  const at = (micros: bigint): bigint => toPgMicros(1_000_000n + micros);
  wal.transactionEnd(COMMIT, at(7n));
  wal.transactionEnd(COMMIT, at(3n));
  const abort = wal.transactionEnd(ABORT, at(9n));
  wal.record();
  const later = wal.transactionEnd(COMMIT, at(11n));
  const segment = wal.segment(0);

  it('are the last in the order of the WAL, and of those the last that was a commit', () => {
    expect(replayedTimes(segment, wal.start, lsn(wal.start + BigInt(later)))).toMatchObject({
      last: { outcome: 'abort', unixMicros: 1_000_009n },
      lastCommit: { outcome: 'commit', unixMicros: 1_000_003n },
    });
    expect(replayedTimes(segment, wal.start, EVERYTHING).lastCommit).toMatchObject({ unixMicros: 1_000_011n });
  });

  it('are those alone that begin before the end of it', () => {
    const before = replayedTimes(segment, wal.start, lsn(wal.start + BigInt(abort)));
    expect(before.last).toEqual(before.lastCommit);
    expect(before.last).toMatchObject({ unixMicros: 1_000_003n });
    expect(replayedTimes(segment, wal.start, wal.start)).toEqual({ last: undefined, lastCommit: undefined });
  });
});
