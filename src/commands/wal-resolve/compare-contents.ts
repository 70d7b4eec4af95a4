import { formatLsn, lsn } from '../../postgres/lsn.ts';
import { sameRecords } from '../../postgres/wal-compare.ts';
import { parseWalHeader } from '../../postgres/wal-header.ts';
import type { WalFile } from '../../postgres/wal-name.ts';

/** How a content differs from the one that all are held against. */
export interface ContentComparison {
  /** `same-records`: only bytes behind the last record differ, as two archivers of one cluster leave them. */
  kind: 'identical' | 'same-records' | 'different';
  /** Offset of the first byte that differs. */
  firstDifference: number | null;
  /** The record that it lies in. */
  recordLsn: string | null;
  reason: string | null;
}

export function compareContents(file: WalFile, reference: Buffer, other: Buffer): ContentComparison {
  const parsed = file.kind === 'segment' || file.kind === 'partial' ? parseWalHeader(reference) : undefined;
  const start = parsed?.ok === true ? parsed.header.pageAddress : lsn(0n);
  const found = sameRecords(reference, other, start);
  switch (found.kind) {
    case 'identical':
      return { kind: 'identical', firstDifference: null, recordLsn: null, reason: null };
    case 'same-records': {
      const reason = `only behind the last record, which ends at ${formatLsn(found.endLsn)}`;
      return { kind: 'same-records', firstDifference: found.firstDifference, recordLsn: null, reason };
    }
    case 'different': {
      const { firstDifference, recordLsn } = found;
      const reason = parsed?.ok === true ? found.reason : null;
      return {
        kind: 'different',
        firstDifference,
        recordLsn: recordLsn === undefined ? null : formatLsn(recordLsn),
        reason,
      };
    }
  }
}
