import type { WalRecord } from './wal-records.ts';

/** Resource manager XLOG and the records of it that tell how WAL is written (catalog/pg_control.h). */
const RMGR_XLOG = 0;
const CHECKPOINT_SHUTDOWN = 0x00;
const CHECKPOINT_ONLINE = 0x10;
const PARAMETER_CHANGE = 0x60;
const FPW_CHANGE = 0x80;
const OPERATIONS = 0xf0;

const HEADER_BYTES = 24;
/** Before data of at most 255 bytes (access/xlogrecord.h). */
const DATA_SHORT = 255;
/** CheckPoint.fullPageWrites; xl_parameter_change.wal_level. */
const CHECKPOINT_FPW_AT = 16;
const PARAMETER_WAL_LEVEL_AT = 20;
const MINIMAL = 0;

/**
 * Why pages that were torn when they were copied are not mended by WAL with this record in it; `undefined`: it says nothing of that, or
 * that all is well. Every change of `full_page_writes` is in WAL, and every checkpoint says how it stands.
 */
export function whyNotProtected({ rmgr, info, bytes }: Pick<WalRecord, 'rmgr' | 'info' | 'bytes'>): string | undefined {
  if (rmgr !== RMGR_XLOG) return undefined;
  switch (info & OPERATIONS) {
    case CHECKPOINT_SHUTDOWN:
    case CHECKPOINT_ONLINE:
      return flagAt(bytes(), CHECKPOINT_FPW_AT) === 1 ? undefined : OFF;
    case FPW_CHANGE:
      return flagAt(bytes(), 0) === 1 ? undefined : OFF;
    case PARAMETER_CHANGE:
      return (flagAt(bytes(), PARAMETER_WAL_LEVEL_AT) ?? MINIMAL) === MINIMAL ? 'wal_level was minimal' : undefined;
    default:
      return undefined;
  }
}

const OFF = 'full_page_writes was off';

/** A byte of the record's data, which follow its header at once; `undefined`: there is none there. */
function flagAt(record: Buffer, at: number): number | undefined {
  if (record[HEADER_BYTES] !== DATA_SHORT) return undefined;
  return at < (record[HEADER_BYTES + 1] ?? 0) ? record[HEADER_BYTES + 2 + at] : undefined;
}
