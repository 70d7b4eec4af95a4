import type { Worker } from 'node:worker_threads';
import { WalholdError } from '../base/errors.ts';
import { thrownError, type PlainError } from '../base/plain-error.ts';

/** What a thread answers: its own kinds of answers, or why there is none. */
export type Answer<T> = T | { kind: 'failed'; error: PlainError };

/** The message that ends a thread. */
export const END = { kind: 'end' } as const;

/**
 * Threads that answer one question at a time, `most` of them, each begun when all others are busy. One that dies is replaced by the next
 * question.
 */
export class ThreadPool<Question, T extends { kind: string }> {
  readonly #make: () => Worker;
  readonly #most: number;
  readonly #idle: AskedThread<Question, T>[] = [];
  readonly #waiting: ((thread: AskedThread<Question, T> | undefined) => void)[] = [];
  #threads = 0;

  constructor(make: () => Worker, most: number) {
    this.#make = make;
    this.#most = most;
  }

  /** Begins all threads, for questions that are about to come. */
  begin(): void {
    while (this.#threads < this.#most) this.#idle.push(this.#begin());
  }

  /** Throws what the thread threw. `handedOver` is the thread's from then on. */
  async ask(question: Question, handedOver: readonly ArrayBuffer[] = []): Promise<T> {
    const thread = await this.#take();
    const answer = await thread.ask(question, handedOver);
    if (thread.isAlive) this.#give(thread);
    else this.#lost();
    if (answer instanceof Error) throw answer;
    return answer;
  }

  /** Ends the threads that have nothing to do, and their memory with them. */
  rest(): void {
    for (const thread of this.#idle.splice(0)) {
      thread.end();
      this.#threads -= 1;
    }
  }

  async #take(): Promise<AskedThread<Question, T>> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#threads < this.#most) return this.#begin();
    const given = await new Promise<AskedThread<Question, T> | undefined>((resolve) => this.#waiting.push(resolve));
    return given ?? this.#begin();
  }

  #begin(): AskedThread<Question, T> {
    this.#threads += 1;
    return new AskedThread<Question, T>(this.#make());
  }

  #give(thread: AskedThread<Question, T>): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(thread);
    else next(thread);
  }

  #lost(): void {
    this.#threads -= 1;
    this.#waiting.shift()?.(undefined);
  }
}

class AskedThread<Question, T extends { kind: string }> {
  readonly #worker: Worker;
  #answer: ((answer: T | Error) => void) | undefined;
  isAlive = true;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.unref();
    worker.on('message', (message: Answer<T>) =>
      this.#settle(isFailure(message) ? thrownError(message.error) : message),
    );
    worker.on('error', (error) => this.#die(error));
    worker.on('exit', () => this.#die(new Error('it ended')));
  }

  ask(question: Question, handedOver: readonly ArrayBuffer[]): Promise<T | Error> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      if (this.isAlive) this.#worker.postMessage(question, handedOver);
      else this.#die(new Error('it ended'));
    });
  }

  end(): void {
    this.#worker.postMessage(END);
  }

  #die(error: unknown): void {
    this.isAlive = false;
    this.#settle(new WalholdError('io', 'a thread of the worker ended too early', { cause: error }));
  }

  #settle(answer: T | Error): void {
    this.#answer?.(answer);
    this.#answer = undefined;
  }
}

function isFailure(message: { kind: string }): message is { kind: 'failed'; error: PlainError } {
  return message.kind === 'failed';
}
