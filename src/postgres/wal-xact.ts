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
/** Operations of the Transaction resource manager (access/xact.h): the sixteens of `info`, of which each entry is one. */
const OPERATIONS = 0x70;
const OUTCOMES: readonly (Pick<TransactionEnd, 'outcome' | 'prepared'> | undefined)[] = [
  { outcome: 'commit', prepared: false },
  undefined,
  { outcome: 'abort', prepared: false },
  { outcome: 'commit', prepared: true },
  { outcome: 'abort', prepared: true },
];

/** Ids that stand where a block reference could (access/xlogrecord.h). */
const DATA_SHORT = 255;
const DATA_LONG = 254;
const ORIGIN = 253;
const TOPLEVEL_XID = 252;

/** Numbers are exact up to 2^53. */
const EXACT_HIGH = 2 ** 21;

/** Whether a record with these numbers ends a transaction, before its bytes are looked at. */
export function endsTransaction(rmgr: number, info: number): boolean {
  return rmgr === RMGR_XACT && outcomeBy(info) !== undefined;
}

/** Of a record that ends a transaction. */
export function isAbort(info: number): boolean {
  return outcomeBy(info)?.outcome === 'abort';
}

/**
 * Reads the end of a transaction from a whole record, header included, whose CRC has been proven. `undefined`: a record of another
 * kind.
 */
export function readTransactionEnd(record: Buffer): TransactionEnd | undefined {
  const time = transactionTimeAt(record, 0, record.length);
  const ended = time < 0 ? undefined : outcomeBy(record.readUInt8(16));
  return ended === undefined ? undefined : { ...ended, unixMicros: fromPgMicros(record.readBigInt64LE(time)) };
}

/**
 * Where in `bytes` the time of the transaction's end lies, for the record of `total` bytes at `at`: it begins the main data
 * (xl_xact_commit, xl_xact_abort), which end the record. -1: a record of another kind.
 */
export function transactionTimeAt(bytes: Buffer, at: number, total: number): number {
  if (total < 24 || !endsTransaction(bytes[at + 17]!, bytes[at + 16]!)) return -1;
  const end = at + total;
  let from = at + 24;
  if (from < end && bytes[from] === ORIGIN) from += 3;
  if (from < end && bytes[from] === TOPLEVEL_XID) from += 5;
  const length = dataLength(bytes, from, end);
  return length < 8 || end - length < from ? -1 : end - length;
}

/** The TimestampTz at `at`; a bigint where a number would not be exact, which no server's clock has ever shown. */
export function pgMicrosAt(bytes: Buffer, at: number): number | bigint {
  const high = bytes.readInt32LE(at + 4);
  if (high < -EXACT_HIGH || high >= EXACT_HIGH) return bytes.readBigInt64LE(at);
  return high * 0x1_0000_0000 + bytes.readUInt32LE(at);
}

function outcomeBy(info: number): Pick<TransactionEnd, 'outcome' | 'prepared'> | undefined {
  return OUTCOMES[(info & OPERATIONS) >>> 4];
}

function dataLength(bytes: Buffer, at: number, end: number): number {
  if (at + 2 <= end && bytes[at] === DATA_SHORT) return bytes[at + 1]!;
  return at + 5 <= end && bytes[at] === DATA_LONG ? bytes.readUInt32LE(at + 1) : 0;
}
