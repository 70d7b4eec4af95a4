import { createHash } from 'node:crypto';
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, fsyncSync, openSync, readSync } from 'node:fs';
import { ioError } from '../../base/errors.ts';
import type { DiskInput, SizedFile } from './disk-protocol.ts';
import { TargetPlaces } from './target-places.ts';

const READ_BYTES = 1024 * 1024;
const OPEN_FLAGS: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** As restored files have it: nothing for others, nothing to be run. */
const FILE_BITS = 0o640;
const GROUP_READS = 0o040;

/** Files that lie in a directory to be filled already. One buffer serves all. */
export class DiskFiles {
  readonly #places: TargetPlaces;
  readonly #input: DiskInput;
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  constructor(input: DiskInput) {
    this.#input = input;
    this.#places = new TargetPlaces(input);
  }

  /** SHA-256 in hex. `undefined`: no regular file of this size lies there that can be read; whatever it is, it does not fit. */
  digest({ path, size }: SizedFile): string | undefined {
    try {
      const fd = openSync(this.#places.placeOf(path), OPEN_FLAGS);
      try {
        const stats = fstatSync(fd);
        return stats.isFile() && stats.size === size ? this.#digestOf(fd, size) : undefined;
      } finally {
        closeSync(fd);
      }
    } catch {
      return undefined;
    }
  }

  /** Sets owner and mode right, and brings the files to disk: whoever wrote them may not have. Answers how many. Throws `io`. */
  settle(paths: readonly (string | Uint8Array)[]): number {
    const { owner, groupReads } = this.#input;
    for (const path of paths) {
      const place = this.#places.placeOf(path);
      try {
        const fd = openSync(place, OPEN_FLAGS);
        try {
          const { mode, uid, gid } = fstatSync(fd);
          if (owner !== undefined && (uid !== owner.uid || gid !== owner.gid)) fchownSync(fd, owner.uid, owner.gid);
          const right = (mode & FILE_BITS) | 0o600 | (groupReads ? GROUP_READS : 0);
          if ((mode & 0o7777) !== right) fchmodSync(fd, right);
          fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
      } catch (error) {
        throw ioError(`could not keep ${place.toString()}`, error);
      }
    }
    return paths.length;
  }

  #digestOf(fd: number, size: number): string | undefined {
    const hash = createHash('sha256');
    for (let at = 0; at < size;) {
      const bytes = readSync(fd, this.#buffer, 0, Math.min(READ_BYTES, size - at), at);
      if (bytes === 0) return undefined;
      hash.update(this.#buffer.subarray(0, bytes));
      at += bytes;
    }
    return hash.digest('hex');
  }
}
