import type { Worker } from 'node:worker_threads';
import { WalholdError } from '../base/errors.ts';
import { thrownError } from '../base/plain-error.ts';
import { parseWalName } from '../postgres/wal-name.ts';
import type { PreparedWal } from '../repository/wal-object.ts';
import type { FileState } from '../spool/file-state.ts';
import { decompressFrames } from '../stream/zstd.ts';
import type { FromPrepare, ToPrepare } from './thread-protocol.ts';

export interface PreparedFile {
  wal: PreparedWal;
  /** The file's when it was read. */
  state: FileState;
}

/** Threads that make files ready, `jobs` at most, each begun when all others are busy. One that dies is replaced by the next call. */
export class PreparePool {
  readonly #make: () => Worker;
  readonly #jobs: number;
  readonly #idle: PrepareThread[] = [];
  readonly #waiting: ((thread: PrepareThread | undefined) => void)[] = [];
  #threads = 0;

  constructor(make: () => Worker, jobs: number) {
    this.#make = make;
    this.#jobs = jobs;
  }

  /** Throws what stands against storing the file. */
  async prepare(name: string, path: string): Promise<PreparedFile> {
    const thread = await this.#take();
    const answer = await thread.ask({ kind: 'prepare', name, path });
    if (thread.isAlive) this.#give(thread);
    else this.#lost();
    if (answer instanceof Error) throw answer;
    return preparedFile(name, answer);
  }

  /** Ends the threads that have nothing to do, and their memory with them. */
  rest(): void {
    for (const thread of this.#idle.splice(0)) {
      thread.end();
      this.#threads -= 1;
    }
  }

  async #take(): Promise<PrepareThread> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#threads < this.#jobs) return this.#begin();
    const given = await new Promise<PrepareThread | undefined>((resolve) => this.#waiting.push(resolve));
    return given ?? this.#begin();
  }

  #begin(): PrepareThread {
    this.#threads += 1;
    return new PrepareThread(this.#make());
  }

  #give(thread: PrepareThread): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(thread);
    else next(thread);
  }

  #lost(): void {
    this.#threads -= 1;
    this.#waiting.shift()?.(undefined);
  }
}

class PrepareThread {
  readonly #worker: Worker;
  #answer: ((answer: Extract<FromPrepare, { kind: 'prepared' }> | Error) => void) | undefined;
  isAlive = true;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.unref();
    worker.on('message', (message: FromPrepare) =>
      this.#settle(message.kind === 'failed' ? thrownError(message.error) : message),
    );
    worker.on('error', (error) => this.#die(error));
    worker.on('exit', () => this.#die(new Error('it ended')));
  }

  ask(message: ToPrepare): Promise<Extract<FromPrepare, { kind: 'prepared' }> | Error> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      if (this.isAlive) this.#worker.postMessage(message);
      else this.#die(new Error('it ended'));
    });
  }

  end(): void {
    this.#worker.postMessage({ kind: 'end' } satisfies ToPrepare);
  }

  #die(error: unknown): void {
    this.isAlive = false;
    this.#settle(new WalholdError('io', 'a compressing thread ended too early', { cause: error }));
  }

  #settle(answer: Extract<FromPrepare, { kind: 'prepared' }> | Error): void {
    this.#answer?.(answer);
    this.#answer = undefined;
  }
}

function preparedFile(name: string, answer: Extract<FromPrepare, { kind: 'prepared' }>): PreparedFile {
  const { key, systemId, head, bytes, warnings, state } = answer;
  const file = parseWalName(name);
  if (file === undefined) throw new Error(`${name} was prepared and is no WAL file`);
  const wal: PreparedWal = {
    file,
    key,
    systemId,
    encoded: { head, bytes },
    warnings,
    // Only for the comparison with what is stored already under the name: not worth keeping for every file.
    get plain() {
      return decompressFrames(bytes, head.bytes);
    },
  };
  return { wal, state };
}
