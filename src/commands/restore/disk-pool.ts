import { Worker } from 'node:worker_threads';
import { thrownError } from '../../base/plain-error.ts';
import { watchExit } from '../thread-exit.ts';
import { threadFile } from '../thread-file.ts';
import { THREAD_LIMITS } from '../thread-limits.ts';
import type { DiskInput, FromDiskThread, SizedFile, ToDiskThread } from './disk-protocol.ts';

/** One errand ends with the file by which it reaches one of these. */
const ERRAND_BYTES = 64 * 1024 * 1024;
const ERRAND_FILES = 500;

export interface DiskPoolOptions {
  input: DiskInput;
  jobs: number;
  signal: AbortSignal;
}

/** Calls `take` with the SHA-256 of each file (see `FromDiskThread`), in no order. Throws the signal's reason. */
export async function digestFiles<T extends SizedFile>(
  files: readonly T[],
  options: DiskPoolOptions,
  take: (file: T, digest: string | undefined) => void,
): Promise<void> {
  await runErrands(
    errandsOf(files),
    options,
    (errand) => ({ kind: 'digest', files: errand.map(({ path, size }) => ({ path, size })) }),
    (errand, message) => {
      if (message.kind === 'digests') errand.forEach((file, index) => take(file, message.digests[index]));
    },
  );
}

/** Sets owner and mode of these files right, and brings them to disk. Throws `io`. */
export async function settleFiles(files: readonly SizedFile[], options: DiskPoolOptions): Promise<void> {
  await runErrands(
    errandsOf(files),
    options,
    (errand) => ({ kind: 'settle', paths: errand.map(({ path }) => path) }),
    () => {},
  );
}

async function runErrands<T>(
  errands: Iterable<readonly T[]>,
  { input, jobs, signal }: DiskPoolOptions,
  ask: (errand: readonly T[]) => ToDiskThread,
  take: (errand: readonly T[], answer: FromDiskThread) => void,
): Promise<void> {
  signal.throwIfAborted();
  const queue = errands[Symbol.iterator]();
  const threads = Array.from({ length: Math.max(1, jobs) }, () => new DiskWorker(input));
  const stop = (): void => threads.forEach((thread) => thread.fail(signal.reason));
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.all(
      threads.map(async (thread) => {
        for (let next = queue.next(); next.done !== true; next = queue.next()) {
          take(next.value, await thread.ask(ask(next.value)));
        }
      }),
    );
  } finally {
    signal.removeEventListener('abort', stop);
    await Promise.all(threads.map((thread) => thread.ended()));
  }
}

class DiskWorker {
  readonly #worker: Worker;
  readonly #failure: PromiseWithResolvers<never> = Promise.withResolvers();
  readonly #gone: () => Promise<void>;
  #answered: (message: FromDiskThread) => void = () => {};

  constructor(input: DiskInput) {
    this.#worker = new Worker(threadFile('disk-thread'), { workerData: input, resourceLimits: THREAD_LIMITS });
    this.#gone = watchExit(this.#worker, 'comparing', (error) => this.#failure.reject(error));
    this.#worker.on('message', (message: FromDiskThread) => {
      if (message.kind === 'failed') this.#failure.reject(thrownError(message.error));
      else this.#answered(message);
    });
    this.#failure.promise.catch(() => undefined);
  }

  async ask(message: ToDiskThread): Promise<FromDiskThread> {
    const answer = new Promise<FromDiskThread>((resolve) => (this.#answered = resolve));
    this.#worker.postMessage(message);
    return await Promise.race([answer, this.#failure.promise]);
  }

  fail(reason: unknown): void {
    this.#failure.reject(reason);
  }

  async ended(): Promise<void> {
    this.#worker.postMessage({ kind: 'end' } satisfies ToDiskThread);
    await this.#gone();
  }
}

function* errandsOf<T extends SizedFile>(files: readonly T[]): Generator<readonly T[]> {
  let errand: T[] = [];
  let bytes = 0;
  for (const file of files.toSorted((a, b) => b.size - a.size)) {
    errand.push(file);
    bytes += file.size;
    if (bytes < ERRAND_BYTES && errand.length < ERRAND_FILES) continue;
    yield errand;
    errand = [];
    bytes = 0;
  }
  if (errand.length > 0) yield errand;
}
