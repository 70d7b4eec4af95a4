import { writeSync } from 'node:fs';
import { hasCode, ioError, systemCode, WalholdError } from '../base/errors.ts';

const PAUSE_MS = 10;

/**
 * Writes all of `text` to stdout before it returns. Throws `io` when it cannot be written, and `interrupted` when nobody reads it any
 * more (see {@link isUnread}).
 */
export function writeResult(text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      const code = systemCode(error);
      if (code === 'EPIPE') throw new WalholdError('interrupted', 'nobody reads the result', { cause: error });
      // A pipe that another process made non-blocking is full for the moment.
      if (code !== 'EAGAIN') throw ioError('could not write the result', error);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}

/** Whether what ended the call is that its reader has seen enough, as `head` has: no fault, and nothing to tell anybody. */
export function isUnread(error: unknown): boolean {
  return hasCode(error, 'interrupted') && systemCode(error.cause) === 'EPIPE';
}
