import { Worker } from 'node:worker_threads';
import { Dealer, type Hand } from '../dealer.ts';
import { watchExit } from '../thread-exit.ts';
import { threadFile } from '../thread-file.ts';
import { THREAD_LIMITS } from '../thread-limits.ts';
import { thrownError } from '../../base/plain-error.ts';
import type { SizedUnit } from './plan-units.ts';
import type { CopiedUnit, FinishedPart, FromThread, ThreadInput, ToThread } from './thread-protocol.ts';

/** A thread has this many units before it, so that it never waits for the main thread. */
const UNITS_AHEAD = 2;

export interface CopyRun {
  input: ThreadInput;
  jobs: number;
  /** `undefined`: they are started now. */
  threads?: CopyThreads | undefined;
  /** Handed out in this order; emptied on the way, for each may name thousands of files. */
  units: SizedUnit[];
  signal: AbortSignal;
  /** Called when the part that holds the unit is stored. */
  copied: (unit: CopiedUnit) => void;
}

/**
 * Copies all units with `jobs` threads, each into parts of its own; returns those parts once every repository holds them. The first
 * failure, or the signal, stops all threads, which have ended when this throws.
 */
export async function copyAll({
  input,
  jobs,
  threads: started,
  units,
  signal,
  copied,
}: CopyRun): Promise<FinishedPart[]> {
  signal.throwIfAborted();
  const most = Math.min(jobs, units.length);
  const dealer = new Dealer(emptied(units), { most: UNITS_AHEAD, bytesOf: ({ bytes }) => bytes });
  const threads = (started ?? new CopyThreads(most)).take(most);
  for (const thread of threads) thread.begin(input);
  const stop = (): void => threads.forEach((thread) => thread.fail(signal.reason));
  signal.addEventListener('abort', stop, { once: true });
  try {
    const runs = threads.map(async (thread) => {
      try {
        return await thread.run(dealer, copied);
      } catch (error) {
        for (const other of threads) other.fail(error);
        throw error;
      }
    });
    dealer.begin(threads);
    return (await Promise.all(runs)).flat();
  } catch (error) {
    await Promise.all(threads.map((thread) => thread.ended()));
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function* emptied<T>(list: T[]): Generator<T> {
  list.reverse();
  for (let item = list.pop(); item !== undefined; item = list.pop()) yield item;
}

/** Threads that start while it is still found out what there is to copy. Those that nobody takes end with this. */
export class CopyThreads implements AsyncDisposable {
  readonly #idle: CopyWorker[];

  constructor(jobs: number) {
    this.#idle = Array.from({ length: Math.max(1, jobs) }, () => new CopyWorker());
  }

  /** At least one, at most so many; whoever takes them ends them. */
  take(most: number): CopyWorker[] {
    return this.#idle.splice(0, Math.max(1, most));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const idle = this.#idle.splice(0);
    for (const thread of idle) thread.fail(new Error('there is nothing to copy'));
    await Promise.all(idle.map((thread) => thread.ended()));
  }
}

class CopyWorker implements Hand<SizedUnit> {
  readonly #worker: Worker;
  /** Resolves when the thread is gone. */
  readonly ended: () => Promise<void>;
  readonly #result: PromiseWithResolvers<FinishedPart[]> = Promise.withResolvers();
  readonly #parts: FinishedPart[] = [];

  constructor() {
    this.#worker = new Worker(threadFile('backup-thread'), { resourceLimits: THREAD_LIMITS });
    this.ended = watchExit(this.#worker, 'copying', (error) => this.#result.reject(error));
    this.#result.promise.catch(() => undefined);
  }

  begin(input: ThreadInput): void {
    this.#send({ kind: 'begin', input });
  }

  readonly take = ({ unit }: SizedUnit): void => this.#send({ kind: 'copy', unit });
  readonly end = (): void => this.#send({ kind: 'finish' });

  run(dealer: Dealer<SizedUnit>, copied: (unit: CopiedUnit) => void): Promise<FinishedPart[]> {
    this.#worker.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'copied':
          dealer.done(this);
          break;
        case 'stored':
          this.#parts.push(message.part);
          message.copied.forEach(copied);
          break;
        case 'finished':
          this.#result.resolve(this.#parts);
          break;
        case 'failed':
          this.#result.reject(thrownError(message.error));
      }
    });
    return this.#result.promise;
  }

  /** Ends the thread's work for this reason, if it has not ended. */
  fail(reason: unknown): void {
    this.#result.reject(reason);
    this.#send({ kind: 'abort' });
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }
}
