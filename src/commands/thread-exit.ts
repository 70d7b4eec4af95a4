import type { Worker } from 'node:worker_threads';
import { reasonOf, WalholdError } from '../base/errors.ts';

/** How long a thread that was told to end may take to clean up. */
const STOP_MS = 5_000;

/**
 * Calls `crashed` if the thread fails or exits before its work is over, and gives what waits until it is gone, which is soon once it was
 * told to end; one that hangs in a system call is left behind. Never by force: a thread that is torn down within the native codec takes
 * the whole process with it.
 */
export function watchExit(worker: Worker, kind: string, crashed: (error: WalholdError) => void): () => Promise<void> {
  const crash = (error: unknown): void =>
    crashed(new WalholdError('io', `a ${kind} thread ended too early`, { detail: reasonOf(error), cause: error }));
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  worker.once('error', crash);
  worker.once('exit', () => crash(new Error('it ended')));
  return async () => {
    const { promise: waited, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STOP_MS);
    worker.unref();
    await Promise.race([exited, waited]);
    clearTimeout(timer);
  };
}
