/**
 * Stores what the archiver will ask for, before it asks: all ready files, `jobs` at a time through compression and as many on their way
 * as the store rewards. An answer is given only for what every repository holds. At a failure nothing new is begun until the first
 * failed file, which is the one that the archiver is held up by, could be stored; calls look for themselves meanwhile.
 */
import type { Clock } from '../base/clock.ts';
import { ioError, reasonOf, WalholdError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { PreparedWal } from '../repository/wal-object.ts';
import type { PushAnswers } from '../spool/push-answers.ts';
import { archiverOrder, nextFiles, type FileStage } from './plan.ts';
import type { PreparedFile } from './prepared-file.ts';
import { UploadLimit } from './upload-limit.ts';

export interface PushAheadDeps {
  /** What waits for the archiver, in no order. */
  readyNames: () => Promise<readonly string[]>;
  pathOf: (name: string) => string;
  prepare: (name: string, path: string) => Promise<PreparedFile>;
  /** Stores it in every repository, within a deadline of its own. */
  store: (wal: PreparedWal) => Promise<void>;
  answers: PushAnswers;
  clock: Clock;
  /** Evenly in [0, 1). */
  random: () => number;
  log: Log;
}

export interface PushAheadLimits {
  jobs: number;
  segmentBytes: number;
  /** How much ready WAL may be taken up that the server has not asked for yet, uncompressed. */
  pushAheadBytes: number;
  /** The file that the call is storing which has asked for the worker: it is left to that call for a while. */
  withCall?: string | undefined;
}

export interface PushAheadState {
  state: 'idle' | 'pushing' | 'failing';
  inFlight: number;
  uploadLimit: number;
  stored: number;
  lastError: { at: number; file: string; message: string } | undefined;
}

/** Compressed bytes that may wait or be on their way; one file always may. */
const MEMORY_BYTES = 64 * 1024 * 1024;
const MOST_UPLOADS = 32;
const POLL_MS = 1000;
/** Lists at least so far apart: a drain renames a status file for each segment. */
const LIST_EVERY_MS = 50;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const LINE_EVERY_MS = 60_000;
/** A call mostly needs less for its file; what it did not store by then is taken up like others. */
const LEFT_TO_CALL_MS = 2000;

export class PushAhead {
  readonly #deps: PushAheadDeps;
  readonly #limits: PushAheadLimits;
  readonly #uploads: UploadLimit;
  readonly #stages = new Map<string, FileStage>();
  /** Since when there is an answer. */
  readonly #answeredAt = new Map<string, number>();
  readonly #queue: PreparedFile[] = [];
  #ready: readonly string[] = [];
  #preparing = 0;
  #uploading = 0;
  /** Compressed, in memory. */
  #bytes = 0;
  #stored = 0;
  #failures = 0;
  #retryAt = 0;
  #lastError: PushAheadState['lastError'];
  #lastLineAt = -Infinity;
  #wake: (() => void) | undefined;
  #woken = false;
  #busyAt: number;
  #broken: WalholdError | undefined;

  constructor(deps: PushAheadDeps, limits: PushAheadLimits) {
    this.#deps = deps;
    this.#limits = limits;
    this.#uploads = new UploadLimit({ least: Math.max(2, limits.jobs), most: MOST_UPLOADS });
    this.#busyAt = deps.clock.now();
    if (limits.withCall !== undefined) this.#stages.set(limits.withCall, 'with a call');
  }

  get state(): PushAheadState {
    const inFlight = this.#inFlight;
    return {
      state: this.#failures > 0 ? 'failing' : inFlight > 0 ? 'pushing' : 'idle',
      inFlight,
      uploadLimit: this.#uploads.value,
      stored: this.#stored,
      lastError: this.#lastError,
    };
  }

  /** When there was last something to do. */
  get busyAt(): number {
    return this.#busyAt;
  }

  /** Since when the answer that the archiver needs first waits for it; `undefined`: there is none that does. */
  get unusedSince(): number | undefined {
    const [first] = this.#ready;
    return first === undefined ? undefined : this.#answeredAt.get(first);
  }

  /** There may be something new, or a store that works again. */
  nudge({ retry = false }: { retry?: boolean } = {}): void {
    if (retry) this.#retryAt = 0;
    this.#woken = true;
    this.#wake?.();
  }

  /** Goes on until the signal aborts; then what is under way is left to itself. Throws when listing or answering is not possible. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    void clock.sleep(LEFT_TO_CALL_MS, signal).then(
      () => this.#takeFromCall(),
      () => undefined,
    );
    while (!signal.aborted) {
      const listedAt = clock.now();
      await this.#list();
      if (this.#broken !== undefined) throw this.#broken;
      this.#pump();
      await this.#pause(POLL_MS, signal);
      const early = listedAt + LIST_EVERY_MS - clock.now();
      if (early > 0 && early <= LIST_EVERY_MS) await clock.sleep(early, signal).catch(() => undefined);
    }
  }

  #takeFromCall(): void {
    for (const [name, stage] of this.#stages) if (stage === 'with a call') this.#stages.delete(name);
    this.nudge();
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#woken) {
      const done = new AbortController();
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const over = this.#deps.clock.sleep(ms, AbortSignal.any([signal, done.signal])).catch(() => undefined);
      await Promise.race([woken, over]);
      done.abort();
      this.#wake = undefined;
    }
    this.#woken = false;
  }

  async #list(): Promise<void> {
    this.#ready = archiverOrder(await this.#deps.readyNames());
    const waiting = new Set(this.#ready);
    for (const [name, stage] of this.#stages) {
      if (waiting.has(name) || stage === 'under way' || stage === 'with a call') continue;
      this.#stages.delete(name);
      this.#answeredAt.delete(name);
      await this.#deps.answers.forget(name);
    }
    if (!this.#hasFailed()) this.#failures = 0;
    if (this.#ready.length > 0 || this.#inFlight > 0) this.#busyAt = this.#deps.clock.now();
  }

  get #inFlight(): number {
    return this.#preparing + this.#queue.length + this.#uploading;
  }

  #hasFailed(): boolean {
    return this.#ready.some((name) => this.#stages.get(name) === 'failed');
  }

  #pump(): void {
    for (const name of nextFiles(this.#ready, this.#stages, this.#allowance())) void this.#prepare(name);
    while (this.#queue.length > 0 && this.#uploading < this.#uploads.value) {
      void this.#upload(this.#queue.shift() as PreparedFile);
    }
  }

  #allowance(): { mayRetry: boolean; room: number } {
    const { jobs, segmentBytes, pushAheadBytes } = this.#limits;
    const most = Math.max(1, Math.floor(pushAheadBytes / segmentBytes));
    // Compressed ones wait only until they have a place; more of them would be memory for nothing.
    const full = this.#queue.length >= jobs || this.#bytes >= MEMORY_BYTES;
    const room = full ? 0 : Math.min(jobs - this.#preparing, most - this.#inFlight - this.#answeredAt.size);
    return { mayRetry: this.#deps.clock.now() >= this.#retryAt && this.#inFlight === 0, room };
  }

  async #prepare(name: string): Promise<void> {
    this.#stages.set(name, 'under way');
    this.#preparing += 1;
    try {
      const prepared = await this.#deps.prepare(name, this.#deps.pathOf(name));
      for (const warning of prepared.wal.warnings) this.#deps.log.warning(`${name}: ${warning}`);
      this.#bytes += prepared.wal.encoded.bytes.length;
      this.#queue.push(prepared);
    } catch (error) {
      await this.#failed(name, error);
    } finally {
      this.#preparing -= 1;
      this.#pump();
    }
  }

  async #upload(prepared: PreparedFile): Promise<void> {
    const { wal, state } = prepared;
    const { name } = wal.file;
    const bytes = wal.encoded.bytes.length;
    this.#uploading += 1;
    try {
      await this.#deps.store(wal);
      this.#uploads.stored(bytes, this.#deps.clock.now(), this.#queue.length > 0);
      prepared.release();
      this.#goOn(name);
      await this.#answer(name, state);
    } catch (error) {
      this.#uploads.failed();
      await this.#failed(name, error);
    } finally {
      this.#uploading -= 1;
      this.#bytes -= bytes;
      this.#pump();
    }
  }

  /** What had failed with it may be tried all at once. */
  #goOn(name: string): void {
    this.#stored += 1;
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#lastError = undefined;
    this.#lastLineAt = -Infinity;
    this.#deps.log.info(`stored ${name}: going on`);
    for (const [other, stage] of this.#stages) if (stage === 'failed') this.#stages.delete(other);
  }

  /** Answers that cannot be given end it all: calls that wait for them would wait in vain. */
  async #answer(name: string, state: PreparedFile['state']): Promise<void> {
    const { answers, pathOf, clock } = this.#deps;
    try {
      if (!(await answers.stored(name, pathOf(name), state))) await answers.failed(name);
      this.#stages.set(name, 'answered');
      this.#answeredAt.set(name, clock.now());
    } catch (error) {
      this.#break(error);
    }
  }

  #break(error: unknown): void {
    this.#broken ??= ioError(`could not write to the spool ${this.#deps.answers.path}`, error);
    this.nudge();
  }

  async #failed(name: string, error: unknown): Promise<void> {
    const { answers, log, clock, random } = this.#deps;
    const now = clock.now();
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#retryAt = now + pauseMs * (0.5 + random() / 2);
    this.#lastError = { at: now, file: name, message: reasonOf(error) };
    this.#stages.set(name, 'failed');
    if (now - this.#lastLineAt >= LINE_EVERY_MS) {
      const { detail, hint } = error instanceof WalholdError ? error : { detail: undefined, hint: undefined };
      log.error(reasonOf(error), { detail, hint });
      this.#lastLineAt = now;
    }
    await answers.failed(name).catch((cause: unknown) => this.#break(cause));
  }
}
