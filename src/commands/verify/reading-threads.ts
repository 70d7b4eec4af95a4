import { Worker } from 'node:worker_threads';
import { thrownError } from '../../base/plain-error.ts';
import type { Repository } from '../../repository/repository.ts';
import type { ContentReader, Reading } from '../../repository/verify-reader.ts';
import type { WalReading } from '../../repository/verify-wal-object.ts';
import { abortable } from '../../store/abortable.ts';
import { watchExit } from '../thread-exit.ts';
import { threadFile } from '../thread-file.ts';
import type { FromThread, Question, ThreadInput } from './thread-protocol.ts';

/**
 * Reads contents on threads, one for each question that is open at the same time, each begun when all others are busy. Whoever asks sees
 * to it that there are not too many.
 */
export class ReadingThreads implements ContentReader, AsyncDisposable {
  readonly #input: ThreadInput;
  readonly #signal: AbortSignal;
  readonly #threads: ReadingThread[] = [];
  readonly #idle: ReadingThread[] = [];

  constructor(input: ThreadInput, signal: AbortSignal) {
    this.#input = input;
    this.#signal = signal;
  }

  async wal(repository: Repository, about: Parameters<ContentReader['wal']>[1]): Promise<WalReading> {
    return await this.#ask({ kind: 'wal', repository: repository.number, about }, repository);
  }

  async part(repository: Repository, about: Parameters<ContentReader['part']>[1]): Promise<Reading> {
    return await this.#ask({ kind: 'part', repository: repository.number, about }, repository);
  }

  /** Resolves when all threads are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }

  async #ask(question: Question, { store }: Repository): Promise<Reading> {
    const thread = this.#idle.pop() ?? this.#begin();
    const answer = await abortable(this.#signal, thread.ask(question));
    this.#idle.push(thread);
    if (answer.kind === 'failed') throw thrownError(answer.error);
    for (const stranger of answer.strangers) store.report?.(stranger);
    return answer.reading;
  }

  #begin(): ReadingThread {
    const thread = new ReadingThread(this.#input);
    this.#threads.push(thread);
    return thread;
  }
}

class ReadingThread {
  readonly #worker: Worker;
  readonly #gone: () => Promise<void>;
  readonly #failure: PromiseWithResolvers<never> = Promise.withResolvers();
  #onAnswer: (answer: FromThread) => void = () => undefined;

  constructor(input: ThreadInput) {
    this.#worker = new Worker(threadFile('verify-thread'), { workerData: input });
    this.#gone = watchExit(this.#worker, 'reading', (error) => this.#failure.reject(error));
    this.#worker.on('message', (answer: FromThread) => this.#onAnswer(answer));
    this.#failure.promise.catch(() => undefined);
  }

  /** One question at a time. Throws when the thread itself fails. */
  async ask(question: Question): Promise<FromThread> {
    const answered = Promise.withResolvers<FromThread>();
    this.#onAnswer = answered.resolve;
    this.#worker.postMessage(question);
    return await Promise.race([answered.promise, this.#failure.promise]);
  }

  async end(): Promise<void> {
    this.#worker.postMessage({ kind: 'end' });
    await this.#gone();
  }
}
