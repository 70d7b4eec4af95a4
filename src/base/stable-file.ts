import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { ioError, WalholdError } from './errors.ts';

/**
 * Reads whole files, one after another, into one buffer; for a thread, since it waits for the disk. Throws `io`, and `refused` for what
 * is no regular file of at most `mostBytes`, or was written while it was read.
 */
export class StableFileReader {
  #buffer: Buffer = Buffer.alloc(0);

  /** The bytes are overwritten by the next call. */
  read(path: string, mostBytes: number): { bytes: Buffer; stats: BigIntStats } {
    try {
      // Without waiting: a pipe under the name would never open.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        return this.#readOpen(fd, path, mostBytes);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw ioError(`could not read ${path}`, error);
    }
  }

  #readOpen(fd: number, path: string, mostBytes: number): { bytes: Buffer; stats: BigIntStats } {
    const stats = fstatSync(fd, { bigint: true });
    const refused = (why: string): WalholdError => new WalholdError('refused', `could not store ${path}: ${why}`);
    if (!stats.isFile()) throw refused('it is not a regular file');
    if (stats.size > BigInt(mostBytes)) throw refused('it is larger than any WAL file');
    const size = Number(stats.size);
    if (this.#buffer.length < size) this.#buffer = Buffer.allocUnsafeSlow(size);
    let at = 0;
    while (at < size) {
      const read = readSync(fd, this.#buffer, at, size - at, at);
      if (read === 0) break;
      at += read;
    }
    const after = fstatSync(fd, { bigint: true });
    const same = after.size === stats.size && after.mtimeNs === stats.mtimeNs && after.ctimeNs === stats.ctimeNs;
    if (at !== size || !same) throw refused('it changed while it was read');
    return { bytes: this.#buffer.subarray(0, size), stats };
  }
}
