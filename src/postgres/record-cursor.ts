import { crc32c } from '@node-rs/crc32';
import { crc32cOfWords } from './short-crc32c.ts';
import {
  LONG_HEADER_BYTES,
  SHORT_HEADER_BYTES,
  XLP_FIRST_IS_CONTRECORD,
  XLP_FIRST_IS_OVERWRITE_CONTRECORD,
  type WalHeader,
} from './wal-header.ts';

/**
 * Why a walk over a segment's records ended. `full`: the last one ends where the segment does. `crosses-end`: the last one
 * goes on in the next segment. `switch`: the rest was left unused on purpose (pg_switch_wal, archive_timeout).
 * `zeros`: no record was ever written here. `garbage`: what follows is no valid record: the remains of a recycled file,
 * a torn write, or damage.
 */
export type WalkEnd = 'full' | 'crosses-end' | 'switch' | 'zeros' | 'garbage';

const RECORD_HEADER_BYTES = 24;
const CRC_AT = 20;
const XLP_ALL_FLAGS = 0x000f;
/** XLogRecordMaxSize, with room. */
const MOST_RECORD_BYTES = 0x4000_0000;
/** Up to here JavaScript is faster than the way out of it. */
const SHORT_RECORD_BYTES = 512;
const RMGR_XLOG = 0;
const RMGR_XACT = 1;
const XLOG_SWITCH = 0x40;

/**
 * Steps from record to record through one segment, the way PostgreSQL's own reader does (access/transam/xlogreader.c):
 * page headers, the links to the record before, records over several pages, records that a crash cut off and that were
 * overwritten. It believes a record's header only where its link and its page fit; `checksumFits` proves one record whole.
 * Never throws on any bytes. All positions are offsets in the segment; the fields hold until the next step.
 */
export class RecordCursor {
  /** The current record. */
  at = 0;
  total = 0;
  xid = 0;
  info = 0;
  rmgr = 0;
  /** Where the current record's last byte is followed by alignment or the next page: the next record begins there. */
  next = 0;
  end: WalkEnd | undefined;

  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #size: number;
  readonly #block: number;
  readonly #magic: number;
  readonly #startHigh: number;
  readonly #startLow: number;
  #timeline = 0;
  #previousAt = -1;

  /** `segment` begins with the page that `header` was read from; it may be shorter than a whole segment. */
  constructor(segment: Buffer, header: WalHeader) {
    this.#bytes = segment;
    this.#words = wordsOf(segment);
    this.#block = header.blockBytes;
    this.#size = segment.length - (segment.length % header.blockBytes);
    this.#magic = header.magic;
    this.#startHigh = Number(header.pageAddress >> 32n);
    this.#startLow = Number(header.pageAddress & 0xffff_ffffn);
    this.#skipFirstContinuation(header.remainingLength);
  }

  /** Moves to the next record. `false`: there is none, and `end` says why. */
  step(): boolean {
    while (this.end === undefined) {
      let at = this.next;
      if (at >= this.#size) return this.#stop('full');
      if (at % this.#block === 0) {
        if (!this.#pageFits(at, 0)) return this.#stop('garbage');
        at += this.#headerBytes(at);
      }
      const total = this.#words[at >>> 2]!;
      if (total === 0) return this.#stop('zeros');
      if (total < RECORD_HEADER_BYTES || total > MOST_RECORD_BYTES) return this.#stop('garbage');
      const pageEnd = at - (at % this.#block) + this.#block;
      if (at + total <= pageEnd) {
        if (!this.#acceptHeader(this.#words, at >>> 2, at)) return this.#stop('garbage');
        return this.#accept(at, total, at + total);
      }
      const outcome = this.#span(at, total, pageEnd);
      if (outcome === 'record') return true;
      if (outcome === 'stop') return false;
    }
    return false;
  }

  /**
   * Steps over records of no interest to whom commits are: those that lie on one page, fit, and are neither of XLOG nor of Transaction.
   * Returns how many; `at`, `total` and `next` are the last one's then, and the next step looks at what is different. A segment may hold
   * a quarter of a million of them.
   */
  skipOthers(): number {
    const words = this.#words;
    const block = this.#block;
    const size = this.#size;
    const startLow = this.#startLow;
    const startHigh = this.#startHigh;
    let previous = this.#previousAt;
    let next = this.next;
    let total = 0;
    let count = 0;
    // Where a page begins, its header is to be looked at.
    const pageEnd = next % block === 0 ? next : next - (next % block) + block;
    while (previous >= 0 && next < pageEnd && next < size) {
      const word = next >>> 2;
      const length = words[word]!;
      const rmgr = (words[word + 4]! >>> 8) & 0xff;
      if (length < RECORD_HEADER_BYTES || next + length > pageEnd || rmgr <= RMGR_XACT || rmgr >= 32) break;
      if (words[word + 2] !== startLow + previous || words[word + 3] !== startHigh) break;
      total = length;
      previous = next;
      next = align(next + length);
      count += 1;
    }
    if (count > 0) this.#accept(previous, total, next);
    return count;
  }

  /** Whether the current record's CRC-32C fits its bytes. */
  checksumFits(): boolean {
    if (this.total <= SHORT_RECORD_BYTES && this.isOnOnePage) return this.#shortFits();
    const record = this.bytes();
    const crc = crc32c(record.subarray(0, CRC_AT), crc32c(record.subarray(RECORD_HEADER_BYTES)));
    return crc === record.readUInt32LE(CRC_AT);
  }

  #shortFits(): boolean {
    const word = this.at >>> 2;
    const data = word + RECORD_HEADER_BYTES / 4;
    const crc = crc32cOfWords(this.#words, data, this.total - RECORD_HEADER_BYTES, 0);
    return crc32cOfWords(this.#words, word, CRC_AT, crc) === this.#words[word + CRC_AT / 4];
  }

  /** Whether the current record lies in the segment as it is, without a page header in between. */
  get isOnOnePage(): boolean {
    return this.total <= this.#block - (this.at % this.#block);
  }

  /** The current record's bytes, header included: a view, or a copy where it lies on several pages. */
  bytes(): Buffer {
    return this.bytesOf(this.at, this.total);
  }

  /** The same for a record that was stepped over, by its `at` and `total`. */
  bytesOf(at: number, total: number): Buffer {
    const onPage = this.#block - (at % this.#block);
    if (total <= onPage) return this.#bytes.subarray(at, at + total);
    return this.#collect(at, total);
  }

  /** Goes back to a record that was walked over, to prove it; stepping on from there is possible again. */
  rewind(at: number): void {
    this.end = undefined;
    this.#previousAt = -1;
    this.#timeline = 0;
    this.next = at;
    this.step();
  }

  /** Where the record before the current one begins, if that lies in this segment; -1: it does not. */
  previous(): number {
    const record = this.bytes();
    const low = record.readUInt32LE(8);
    return record.readUInt32LE(12) === this.#startHigh && low >= this.#startLow ? low - this.#startLow : -1;
  }

  #skipFirstContinuation(remaining: number): void {
    this.next = 0;
    if (!this.#isContinued(0)) return;
    let page = 0;
    let left = remaining;
    for (;;) {
      const room = this.#block - this.#headerBytes(page);
      if (left < room) {
        this.next = align(page + this.#headerBytes(page) + left);
        return;
      }
      left -= room;
      page += this.#block;
      this.next = page;
      if (left === 0) return;
      if (page >= this.#size) {
        this.end = 'crosses-end';
        return;
      }
      if (this.#isOverwritten(page)) return;
      if (!this.#pageFits(page, left)) {
        this.end = 'garbage';
        return;
      }
    }
  }

  /** A record that goes on behind this page: every page it needs must announce exactly what is left of it. */
  #span(at: number, total: number, firstPageEnd: number): 'record' | 'stop' | 'again' {
    let left = total - (firstPageEnd - at);
    let page = firstPageEnd;
    while (left > 0) {
      if (page >= this.#size) {
        const known = this.#headerIsHere(at) ? this.#collectedHeaderFits(at) : true;
        this.#stop(known ? 'crosses-end' : 'garbage');
        return 'stop';
      }
      if (this.#isOverwritten(page)) {
        this.next = page;
        return 'again';
      }
      if (!this.#pageFits(page, left)) {
        this.#stop('garbage');
        return 'stop';
      }
      const room = this.#block - this.#headerBytes(page);
      if (left <= room) {
        if (!this.#collectedHeaderFits(at)) {
          this.#stop('garbage');
          return 'stop';
        }
        this.#accept(at, total, page + this.#headerBytes(page) + left);
        return 'record';
      }
      left -= room;
      page += this.#block;
    }
    return 'stop';
  }

  #accept(at: number, total: number, end: number): true {
    this.at = at;
    this.total = total;
    this.next = align(end);
    this.#previousAt = at;
    return true;
  }

  /** Reads the header's fields from `words`, and whether its link to the record before fits. */
  #acceptHeader(words: Uint32Array, word: number, at: number): boolean {
    const low = words[word + 2]!;
    const high = words[word + 3]!;
    const kind = words[word + 4]!;
    const rmgr = (kind >>> 8) & 0xff;
    // Built-in ones are below 32 in all majors; extensions have 128 and above since 15.
    if (rmgr >= 32 && rmgr < 128) return false;
    if (this.#previousAt >= 0) {
      if (high !== this.#startHigh || low !== this.#startLow + this.#previousAt) return false;
    } else if (high > this.#startHigh || (high === this.#startHigh && low >= this.#startLow + at)) {
      return false;
    }
    this.xid = words[word + 1]!;
    this.info = kind & 0xff;
    this.rmgr = rmgr;
    return true;
  }

  #headerIsHere(at: number): boolean {
    return at + RECORD_HEADER_BYTES <= this.#size;
  }

  #collectedHeaderFits(at: number): boolean {
    if (at + RECORD_HEADER_BYTES <= at - (at % this.#block) + this.#block) {
      return this.#acceptHeader(this.#words, at >>> 2, at);
    }
    return this.#acceptHeader(wordsOf(this.#collect(at, RECORD_HEADER_BYTES)), 0, at);
  }

  /** `total` bytes from `at` on, page headers left out. */
  #collect(at: number, total: number): Buffer {
    const out = Buffer.allocUnsafeSlow(total);
    let from = at;
    let done = 0;
    while (done < total && from < this.#size) {
      if (from % this.#block === 0) from += this.#headerBytes(from);
      const pageEnd = from - (from % this.#block) + this.#block;
      const count = Math.min(total - done, pageEnd - from);
      this.#bytes.copy(out, done, from, from + count);
      done += count;
      from += count;
    }
    return out.fill(0, done);
  }

  /**
   * Whether a page's header is valid here (XLogReaderValidatePageHeader) and announces a continuation of exactly
   * `continued` bytes; 0: none, for a page that a new record begins.
   */
  #pageFits(page: number, continued: number): boolean {
    const word = page >>> 2;
    const first = this.#words[word]!;
    if ((first & 0xffff) !== this.#magic || (first >>> 16) & ~XLP_ALL_FLAGS) return false;
    const timeline = this.#words[word + 1]!;
    if (timeline < this.#timeline) return false;
    if (this.#words[word + 2] !== this.#startLow + page || this.#words[word + 3] !== this.#startHigh) return false;
    if (continued === 0 ? this.#isContinued(page) : !this.#continues(page, continued)) return false;
    this.#timeline = timeline;
    return true;
  }

  #continues(page: number, bytes: number): boolean {
    return this.#isContinued(page) && this.#words[(page >>> 2) + 4] === bytes;
  }

  #isContinued(page: number): boolean {
    return (this.#words[page >>> 2]! >>> 16) & XLP_FIRST_IS_CONTRECORD ? true : false;
  }

  #isOverwritten(page: number): boolean {
    return (this.#words[page >>> 2]! >>> 16) & XLP_FIRST_IS_OVERWRITE_CONTRECORD ? this.#pageFits(page, 0) : false;
  }

  #headerBytes(page: number): number {
    return page === 0 ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES;
  }

  #stop(end: WalkEnd): false {
    this.end = end;
    return false;
  }

  /** Whether the current record ends the use of this segment. */
  get isSwitch(): boolean {
    return this.rmgr === RMGR_XLOG && (this.info & 0xf0) === XLOG_SWITCH;
  }
}

function align(offset: number): number {
  return (offset + 7) & ~7;
}

/** Records and pages begin at multiples of 8, so a view of words serves, where memory allows one. */
function wordsOf(buffer: Buffer): Uint32Array {
  const bytes = buffer.length - (buffer.length % 4);
  if (buffer.byteOffset % 4 === 0) return new Uint32Array(buffer.buffer, buffer.byteOffset, bytes / 4);
  return new Uint32Array(buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + bytes));
}
