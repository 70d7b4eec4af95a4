import { writeSync } from 'node:fs';
import { ioError, systemCode } from '../base/errors.ts';

const PAUSE_MS = 10;

/** Writes all of `text` to stdout before it returns. Throws `io` when nobody reads it any more, or the disk behind it is full. */
export function writeResult(text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      // A pipe that another process made non-blocking is full for the moment.
      if (systemCode(error) !== 'EAGAIN') throw ioError('could not write the result', error);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}
