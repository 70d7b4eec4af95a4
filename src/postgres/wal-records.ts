import { lsn, type Lsn } from './lsn.ts';
import { RecordCursor, type WalkEnd } from './record-cursor.ts';
import { parseWalHeader, type WalHeader } from './wal-header.ts';
import { fromPgMicros } from './timestamp.ts';
import { endsTransaction, isAbort, pgMicrosAt, transactionTimeAt } from './wal-xact.ts';

/** One record, as `onRecord` sees it. */
export interface WalRecord {
  readonly lsn: Lsn;
  readonly xid: number;
  /** Resource manager: 0 XLOG, 1 Transaction, … (access/rmgrlist.h). */
  readonly rmgr: number;
  readonly info: number;
  /** Header and data, without page headers and alignment. */
  readonly totalLength: number;
  /** The whole record, header included; a view or a copy. */
  readonly bytes: () => Buffer;
}

/** What a walk over one segment found. */
export interface RecordWalk {
  /** Whole valid records that begin in this segment. */
  readonly records: number;
  readonly firstRecordLsn: Lsn | undefined;
  readonly lastRecordLsn: Lsn | undefined;
  /** Where the next record would begin: behind the last whole valid one, or behind what is left of one begun before. */
  readonly endLsn: Lsn;
  readonly end: WalkEnd;
}

export interface WalkOptions {
  /** Called for each record in order. Those of a torn tail may be among them: only the final answer leaves them out. */
  readonly onRecord?: (record: WalRecord) => void;
  /** `last` (default): only the last record's CRC is proven. `all`: each one's, and the walk ends at the first that is wrong. */
  readonly verify?: 'last' | 'all';
}

/**
 * Commits in one segment. The times are the ones that `recovery_target_time` is compared with: of commits and aborts,
 * prepared ones included. Microseconds since 1970-01-01 UTC. They do not rise strictly along the WAL, so these are the
 * earliest and the latest, not the first and the last.
 */
export interface CommitTimes extends RecordWalk {
  readonly firstCommit: bigint | undefined;
  readonly lastCommit: bigint | undefined;
  readonly commits: number;
  readonly aborts: number;
}

/**
 * Walks over the records of a segment, its `.partial` included. The bytes may be any: a walk over what is no WAL of this
 * address has no records. Little-endian, PostgreSQL 13 to 18; majors unknown here are walked as if nothing had changed.
 */
export function walkRecords(segment: Buffer, segmentStart: Lsn, options: WalkOptions = {}): RecordWalk {
  const parsed = parseWalHeader(segment);
  if (!parsed.ok || parsed.header.pageAddress !== segmentStart) return nothing(segmentStart);
  const cursor = new RecordCursor(segment, parsed.header);
  return walk(cursor, segmentStart, (at) => {
    if (options.verify === 'all' && !cursor.checksumFits()) return false;
    options.onRecord?.(describe(cursor, at, segmentStart));
    return true;
  });
}

/**
 * The first walk over a segment that is about to be stored: which moments lie in it, and where its records end. A time is
 * believed only after its record's CRC fits; a walk that meets a wrong one ends there. `header` is the segment's own.
 */
export function commitTimes(segment: Buffer, header: WalHeader, segmentStart: Lsn): CommitTimes {
  if (header.pageAddress !== segmentStart) {
    return { ...nothing(segmentStart), firstCommit: undefined, lastCommit: undefined, commits: 0, aborts: 0 };
  }
  let first: number | bigint | undefined;
  let last: number | bigint | undefined;
  let commits = 0;
  let aborts = 0;
  const cursor = new RecordCursor(segment, header);
  const found = walk(
    cursor,
    segmentStart,
    () => {
      if (!endsTransaction(cursor.rmgr, cursor.info)) return true;
      if (!cursor.checksumFits()) return false;
      const bytes = cursor.isOnOnePage ? segment : cursor.bytes();
      const time = transactionTimeAt(bytes, cursor.isOnOnePage ? cursor.at : 0, cursor.total);
      if (time < 0) return true;
      const micros = pgMicrosAt(bytes, time);
      if (first === undefined || micros < first) first = micros;
      if (last === undefined || micros > last) last = micros;
      if (isAbort(cursor.info)) aborts++;
      else commits++;
      return true;
    },
    true,
  );
  return { ...found, firstCommit: unixMicros(first), lastCommit: unixMicros(last), commits, aborts };
}

function unixMicros(pgMicros: number | bigint | undefined): bigint | undefined {
  return pgMicros === undefined ? undefined : fromPgMicros(BigInt(pgMicros));
}

/**
 * `visit` answers whether the record is believed; the first that is not ends the walk before it. With `skipOthers` it need not see those
 * that the cursor passes over by that name.
 */
function walk(cursor: RecordCursor, segmentStart: Lsn, visit: (at: number) => boolean, skipOthers = false): RecordWalk {
  let records = 0;
  let firstAt = -1;
  let lastAt = -1;
  let endAt = cursor.next;
  let end: WalkEnd | undefined;
  while (end === undefined) {
    const skipped = skipOthers ? cursor.skipOthers() : 0;
    if (skipped > 0) {
      records += skipped;
      lastAt = cursor.at;
      endAt = cursor.next;
    }
    if (!cursor.step()) break;
    if (!visit(cursor.at)) {
      end = 'garbage';
      break;
    }
    records++;
    if (firstAt < 0) firstAt = cursor.at;
    lastAt = cursor.at;
    endAt = cursor.next;
    if (cursor.isSwitch) end = 'switch';
  }
  end ??= cursor.end ?? 'garbage';
  // Headers and links can be right where the data are not: a torn write at the very end.
  while (lastAt >= 0) {
    cursor.rewind(lastAt);
    if (cursor.at === lastAt && cursor.checksumFits()) break;
    end = 'garbage';
    endAt = lastAt;
    records--;
    lastAt = lastAt === firstAt ? -1 : cursor.previous();
  }
  const position = (at: number): Lsn => lsn(segmentStart + BigInt(at));
  return {
    records,
    firstRecordLsn: lastAt < 0 ? undefined : position(firstAt),
    lastRecordLsn: lastAt < 0 ? undefined : position(lastAt),
    endLsn: position(endAt),
    end,
  };
}

function nothing(segmentStart: Lsn): RecordWalk {
  return { records: 0, firstRecordLsn: undefined, lastRecordLsn: undefined, endLsn: segmentStart, end: 'garbage' };
}

function describe(cursor: RecordCursor, at: number, segmentStart: Lsn): WalRecord {
  const { xid, rmgr, info, total } = cursor;
  return {
    lsn: lsn(segmentStart + BigInt(at)),
    xid,
    rmgr,
    info,
    totalLength: total,
    bytes: () => cursor.bytesOf(at, total),
  };
}
