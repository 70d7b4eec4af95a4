import { Worker } from 'node:worker_threads';
import type { RestorePiece } from '../../repository/restore-pieces.ts';
import type { Stranger } from '../../store/store.ts';
import { thrownError } from '../../base/plain-error.ts';
import { Dealer, type Hand } from '../dealer.ts';
import { watchExit } from '../thread-exit.ts';
import { threadFile } from '../thread-file.ts';
import { THREAD_LIMITS } from '../thread-limits.ts';
import type { JoinedFiles } from './joined-files.ts';
import type { BlankFile, FromThread, ThreadInput, ToThread } from './thread-protocol.ts';

/** A thread has this many pieces before it, so that it waits neither for the main thread nor for the answers of a distant store. */
const PIECES_AHEAD = 3;
const BLANKS_AT_ONCE = 1000;

export interface RestoreRun {
  input: ThreadInput;
  threads: number;
  /**
   * The pieces of each link of the chain, from the newest to the full backup, each in the order in which they are handed out. The next
   * link's are asked for when all of the last one's are written.
   */
  links: AsyncIterable<readonly RestorePiece[]>;
  /** Is told what comes out of the pieces. */
  joined: JoinedFiles;
  /** Files of zeros that are made besides, with this mode. */
  blanks: { files: readonly BlankFile[]; mode: number };
  signal: AbortSignal;
  warn: (message: string, error: Error) => void;
  /** A trace of somebody else was met in the repository of this number. */
  onStranger: (repository: number, stranger: Stranger) => void;
  /** All files are written; now they are brought to disk. */
  onWritten: () => void;
}

/**
 * Restores all pieces; when it returns, every file and directory is on disk. The first failure, or the signal, stops all threads,
 * which have ended when this throws.
 */
export async function restoreAll(run: RestoreRun): Promise<void> {
  const { signal, joined } = run;
  signal.throwIfAborted();
  const threads = Array.from({ length: run.threads }, () => new RestoreWorker(run));
  const stopAll = (reason: unknown): void => threads.forEach((thread) => thread.fail(reason));
  const stop = (): void => stopAll(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  const together = async (each: (thread: RestoreWorker) => Promise<void>): Promise<void> => {
    await Promise.all(
      threads.map(async (thread) => {
        try {
          await each(thread);
        } catch (error) {
          stopAll(error);
          throw error;
        }
      }),
    );
  };
  try {
    for await (const pieces of run.links) {
      const dealer = new Dealer(pieces, { most: PIECES_AHEAD, bytesOf: ({ plainBytes }) => plainBytes });
      const written = together((thread) => thread.write(dealer, joined));
      dealer.begin(threads);
      await written;
    }
    const blanks = batchesOf(run.blanks.files);
    await together((thread) => thread.blank(blanks, run.blanks.mode));
    run.onWritten();
    await together((thread) => thread.sync());
  } finally {
    signal.removeEventListener('abort', stop);
    await Promise.all(threads.map((thread) => thread.ended()));
  }
}

function* batchesOf(files: readonly BlankFile[]): Generator<readonly BlankFile[]> {
  for (let at = 0; at < files.length; at += BLANKS_AT_ONCE) yield files.slice(at, at + BLANKS_AT_ONCE);
}

class RestoreWorker implements Hand<RestorePiece> {
  readonly #worker: Worker;
  readonly #failure: PromiseWithResolvers<never> = Promise.withResolvers();
  readonly #gone: () => Promise<void>;
  #onMessage: (message: FromThread) => void = () => {};
  take: (piece: RestorePiece) => void = () => {};
  end: () => void = () => {};

  constructor({ input, warn, onStranger }: Pick<RestoreRun, 'input' | 'warn' | 'onStranger'>) {
    this.#worker = new Worker(threadFile('restore-thread'), { workerData: input, resourceLimits: THREAD_LIMITS });
    this.#gone = watchExit(this.#worker, 'restoring', (error) => this.#failure.reject(error));
    this.#worker.on('message', (message: FromThread) => {
      if (message.kind === 'failed') this.#failure.reject(thrownError(message.error));
      else if (message.kind === 'warning') warn(message.message, thrownError(message.error));
      else if (message.kind === 'stranger') onStranger(message.repository, message.stranger);
      else this.#onMessage(message);
    });
    this.#failure.promise.catch(() => undefined);
  }

  /** Writes what it is dealt, until all of it is written. */
  async write(dealer: Dealer<RestorePiece>, joined: JoinedFiles): Promise<void> {
    const done = Promise.withResolvers<void>();
    let waiting = 0;
    let isLast = false;
    const settle = (): void => {
      if (isLast && waiting === 0) done.resolve();
    };
    this.take = (piece) => {
      waiting += 1;
      this.#send({ kind: 'restore', piece: joined.withStates(piece) });
    };
    this.end = () => {
      isLast = true;
      settle();
    };
    this.#onMessage = (message) => {
      if (message.kind !== 'restored') return;
      waiting -= 1;
      joined.add(message.steps);
      dealer.done(this);
      settle();
    };
    await Promise.race([done.promise, this.#failure.promise]);
  }

  async blank(batches: Iterator<readonly BlankFile[]>, mode: number): Promise<void> {
    for (let next = batches.next(); next.done !== true; next = batches.next()) {
      await this.#ask({ kind: 'blank', files: next.value, mode }, 'blanked');
    }
  }

  async sync(): Promise<void> {
    await this.#ask({ kind: 'sync' }, 'synced');
  }

  async #ask(message: ToThread, answer: FromThread['kind']): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#onMessage = ({ kind }) => {
      if (kind === answer) done.resolve();
    };
    this.#send(message);
    await Promise.race([done.promise, this.#failure.promise]);
  }

  /** Ends the thread's work for this reason, if it has not ended. */
  fail(reason: unknown): void {
    this.#failure.reject(reason);
    this.#send({ kind: 'abort' });
  }

  /** Resolves when the thread is gone. */
  async ended(): Promise<void> {
    this.#send({ kind: 'end' });
    await this.#gone();
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }
}
