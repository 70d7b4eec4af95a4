import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { ioError, WalholdError } from '../base/errors.ts';

/** The largest WAL segment that initdb makes. */
const MOST_BYTES = 1024 ** 3;

/** The whole file, read once. Throws `io`, or `refused` for anything but a regular file whose size stays as it is. */
export async function readWalFile(path: string): Promise<Buffer> {
  try {
    // Without waiting: a pipe under the name would never open.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const before = await handle.stat();
      if (!before.isFile()) throw new WalholdError('refused', `could not store ${path}: it is not a regular file`);
      if (before.size > MOST_BYTES) {
        throw new WalholdError('refused', `could not store ${path}: it is larger than any WAL file`);
      }
      const bytes = Buffer.allocUnsafeSlow(before.size);
      let at = 0;
      while (at < bytes.length) {
        const { bytesRead } = await handle.read(bytes, at, bytes.length - at, at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      const { size } = await handle.stat();
      if (at === before.size && size === before.size) return bytes;
      throw new WalholdError('refused', `could not store ${path}: its size changed while it was read`, {
        detail: `it was ${before.size} bytes, then ${Math.min(at, size)} or more`,
      });
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError(`could not read ${path}`, error);
  }
}
