import { fromPgMicros } from './timestamp.ts';

/** How one transaction ended. */
export interface TransactionEnd {
  readonly outcome: 'commit' | 'abort';
  /** By COMMIT PREPARED or ROLLBACK PREPARED. */
  readonly prepared: boolean;
  /** What `recovery_target_time` is compared with. Microseconds since 1970-01-01 UTC. */
  readonly unixMicros: bigint;
}

const RMGR_XACT = 1;
/** Operations of the Transaction resource manager (access/xact.h). */
const OPERATIONS = 0x70;
const OUTCOMES: ReadonlyMap<number, Pick<TransactionEnd, 'outcome' | 'prepared'>> = new Map([
  [0x00, { outcome: 'commit', prepared: false }],
  [0x20, { outcome: 'abort', prepared: false }],
  [0x30, { outcome: 'commit', prepared: true }],
  [0x40, { outcome: 'abort', prepared: true }],
]);

/** Ids that stand where a block reference could (access/xlogrecord.h). */
const DATA_SHORT = 255;
const DATA_LONG = 254;
const ORIGIN = 253;
const TOPLEVEL_XID = 252;

/** Whether a record with these numbers ends a transaction, before its bytes are looked at. */
export function endsTransaction(rmgr: number, info: number): boolean {
  return rmgr === RMGR_XACT && OUTCOMES.has(info & OPERATIONS);
}

/**
 * Reads the end of a transaction from a whole record, header included, whose CRC has been proven. The time begins the
 * main data (xl_xact_commit, xl_xact_abort), which end the record. `undefined`: a record of another kind.
 */
export function readTransactionEnd(record: Buffer): TransactionEnd | undefined {
  if (record.length < 24) return undefined;
  const outcome = record[17] === RMGR_XACT ? OUTCOMES.get(record.readUInt8(16) & OPERATIONS) : undefined;
  if (outcome === undefined) return undefined;
  let at = 24;
  if (record[at] === ORIGIN) at += 3;
  if (record[at] === TOPLEVEL_XID) at += 5;
  const length = dataLength(record, at);
  const data = record.length - length;
  if (length < 8 || data < at) return undefined;
  return { ...outcome, unixMicros: fromPgMicros(record.readBigInt64LE(data)) };
}

function dataLength(record: Buffer, at: number): number {
  if (record[at] === DATA_SHORT) return record[at + 1] ?? 0;
  return record[at] === DATA_LONG && at + 5 <= record.length ? record.readUInt32LE(at + 1) : 0;
}
