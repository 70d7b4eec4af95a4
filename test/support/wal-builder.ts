import { crc32c } from '@node-rs/crc32';
import { lsn, type Lsn } from '../../src/postgres/lsn.ts';

export interface WalBuilderOptions {
  readonly segmentBytes?: number;
  readonly blockBytes?: number;
  readonly segments?: number;
  /** The number of the first segment. */
  readonly segno?: bigint;
  readonly timeline?: number;
  readonly systemId?: bigint;
  readonly magic?: number;
  /** Where the record before the first one begins. */
  readonly previous?: bigint;
}

export interface BuiltRecord {
  readonly rmgr?: number;
  readonly info?: number;
  readonly xid?: number;
  /** What follows the 24 bytes of the header. */
  readonly data?: Buffer;
}

/** Writes WAL as PostgreSQL does: records one behind the other, over pages and segments, from the first segment's start. */
export class WalBuilder {
  readonly segmentBytes: number;
  readonly blockBytes: number;
  readonly bytes: Buffer;
  readonly #start: bigint;
  #timeline: number;
  readonly #systemId: bigint;
  readonly #magic: number;
  #at = 0;
  #previous: bigint;

  constructor(options: WalBuilderOptions = {}) {
    this.segmentBytes = options.segmentBytes ?? 1024 * 1024;
    this.blockBytes = options.blockBytes ?? 8192;
    this.bytes = Buffer.alloc(this.segmentBytes * (options.segments ?? 1));
    this.#start = (options.segno ?? 5n) * BigInt(this.segmentBytes);
    this.#timeline = options.timeline ?? 1;
    this.#systemId = options.systemId ?? 7_000_000_000_000_000_001n;
    this.#magic = options.magic ?? 0xd118;
    this.#previous = options.previous ?? this.#start - 64n;
  }

  /** Where the next byte goes, as an offset from the first segment's start. */
  get at(): number {
    return this.#at;
  }

  /** Where the first segment begins. */
  get start(): Lsn {
    return lsn(this.#start);
  }

  segment(index: number): Buffer {
    // A copy that no other view shares, at an address that allows views of words.
    return Buffer.from(
      Uint8Array.from(this.bytes.subarray(index * this.segmentBytes, (index + 1) * this.segmentBytes)).buffer,
    );
  }

  /** Goes on on another timeline from here, as a promotion does: what is written stays as it is. */
  promote(timeline: number): Lsn {
    this.#timeline = timeline;
    return lsn(this.#start + BigInt(this.#at));
  }

  /** Appends a record; answers its offset. */
  record({ rmgr = 10, info = 0, xid = 0, data = Buffer.alloc(0) }: BuiltRecord = {}): number {
    const record = Buffer.alloc(24 + data.length);
    record.writeUInt32LE(record.length, 0);
    record.writeUInt32LE(xid, 4);
    record.writeBigUInt64LE(this.#previous, 8);
    record.writeUInt8(info, 16);
    record.writeUInt8(rmgr, 17);
    data.copy(record, 24);
    record.writeUInt32LE(crc32c(record.subarray(0, 20), crc32c(record.subarray(24))), 20);
    this.#beginPage(0, 0);
    const at = this.#at;
    this.#previous = this.#start + BigInt(at);
    this.#write(record);
    return at;
  }

  /** A record whose main data have this length, written with the short or the long form of it as PostgreSQL does. */
  withMainData(main: Buffer, record: BuiltRecord, before: Buffer = Buffer.alloc(0)): number {
    const header = main.length < 256 ? Buffer.from([255, main.length]) : Buffer.from([254, 0, 0, 0, 0]);
    if (main.length >= 256) header.writeUInt32LE(main.length, 1);
    return this.record({ ...record, data: Buffer.concat([before, header, main]) });
  }

  /** A record of the Transaction resource manager that carries a time, in microseconds since 2000. */
  transactionEnd(info: number, pgMicros: bigint, mainBytes = 8, before?: Buffer): number {
    const main = Buffer.alloc(mainBytes);
    main.writeBigInt64LE(pgMicros, 0);
    return this.withMainData(main, { rmgr: 1, info, xid: 700 }, before);
  }

  /** The record of pg_switch_wal; what follows in the segment are pages with nothing but headers. */
  switchSegment(): number {
    const at = this.record({ rmgr: 0, info: 0x40 });
    while (this.#at % this.segmentBytes !== 0) {
      this.#at = Math.ceil((this.#at + 1) / this.blockBytes) * this.blockBytes;
      if (this.#at % this.segmentBytes !== 0) this.#beginPage(0, 0);
    }
    return at;
  }

  /** Appends a record of which a crash lets nothing from `page` on survive; the server overwrites it from there. */
  overwrittenRecord(bytes: number): { readonly lost: number; readonly page: number } {
    const previous = this.#previous;
    const lost = this.record({ data: Buffer.alloc(bytes - 24, 0x6c) });
    const page = Math.ceil(lost / this.blockBytes) * this.blockBytes;
    this.bytes.fill(0, page);
    this.#previous = previous;
    this.#at = page;
    this.#beginPage(0x0008, 0);
    this.record({ rmgr: 0, info: 0xd0, data: Buffer.alloc(18, 1) });
    return { lost, page };
  }

  /** Fills up to `left` bytes before the end of the current page, so that what comes next begins there. */
  fillPage(left: number): void {
    this.#beginPage(0, 0);
    const room = this.blockBytes - (this.#at % this.blockBytes) - left;
    this.record({ data: Buffer.alloc(room - 24, 0x66) });
  }

  #write(record: Buffer): void {
    let done = 0;
    while (done < record.length) {
      this.#beginPage(0x0001, record.length - done);
      const room = this.blockBytes - (this.#at % this.blockBytes);
      const count = Math.min(room, record.length - done);
      if (this.#at < this.bytes.length) record.copy(this.bytes, this.#at, done, done + count);
      done += count;
      this.#at += count;
    }
    this.#at = (this.#at + 7) & ~7;
  }

  #beginPage(flags: number, remaining: number): void {
    if (this.#at % this.blockBytes !== 0 || this.#at >= this.bytes.length) return;
    const page = this.bytes.subarray(this.#at);
    const long = this.#at % this.segmentBytes === 0;
    page.writeUInt16LE(this.#magic, 0);
    page.writeUInt16LE(flags | (long ? 0x0002 : 0), 2);
    page.writeUInt32LE(this.#timeline, 4);
    page.writeBigUInt64LE(this.#start + BigInt(this.#at), 8);
    page.writeUInt32LE(remaining, 16);
    if (long) {
      page.writeBigUInt64LE(this.#systemId, 24);
      page.writeUInt32LE(this.segmentBytes, 32);
      page.writeUInt32LE(this.blockBytes, 36);
    }
    this.#at += long ? 40 : 24;
  }
}
