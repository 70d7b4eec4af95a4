/**
 * Brings the segments that recovery will ask for, in its order, up to a window ahead of the last one it took. It stops at the first that
 * is not simply there: what that means is for the call that asks for it to find out, which then says where to go on.
 */
import type { Clock } from '../base/clock.ts';
import { ioError, reasonOf, WalholdError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { FetchAnswers } from '../spool/fetch-answers.ts';

export interface FetchAheadDeps {
  /** Puts the segment among the answers; `false`: it is not there, or its absence means something. Throws when that is not known. */
  fetch: (name: string) => Promise<boolean>;
  /** The one that recovery asks for next. */
  after: (name: string) => string | undefined;
  answers: FetchAnswers;
  clock: Clock;
  log: Log;
}

export interface FetchAheadLimits {
  jobs: number;
  /** Segments kept ready. */
  window: number;
}

export interface FetchAheadState {
  state: 'idle' | 'fetching' | 'waiting';
  inFlight: number;
  fetched: number;
  lastError: { at: number; file: string; message: string } | undefined;
}

const POLL_MS = 1000;
/** A call that has noted that it takes a segment has linked it into place by then. */
const TAKING_MS = 1000;
const LINE_EVERY_MS = 60_000;

export class FetchAhead {
  readonly #deps: FetchAheadDeps;
  readonly #limits: FetchAheadLimits;
  /** The last one that recovery has taken. */
  #taken: string;
  /** Here, or on their way. */
  readonly #ready = new Set<string>();
  readonly #coming = new Set<string>();
  /** Since when calls were seen to have taken them. */
  readonly #takenAt = new Map<string, number>();
  /** Not simply there. */
  #stoppedAt: string | undefined;
  #fetched = 0;
  #lastError: FetchAheadState['lastError'];
  #lastLineAt = -Infinity;
  #busyAt: number;
  #wake: (() => void) | undefined;
  #woken = false;
  #broken: WalholdError | undefined;

  /** `taken`: the segment that a call has just brought. */
  constructor(deps: FetchAheadDeps, limits: FetchAheadLimits, taken: string) {
    this.#deps = deps;
    this.#limits = limits;
    this.#taken = taken;
    this.#busyAt = deps.clock.now();
  }

  get state(): FetchAheadState {
    const inFlight = this.#coming.size;
    const state = inFlight > 0 ? 'fetching' : this.#stoppedAt === undefined ? 'idle' : 'waiting';
    return { state, inFlight, fetched: this.#fetched, lastError: this.#lastError };
  }

  /** When recovery last took something. */
  get busyAt(): number {
    return this.#busyAt;
  }

  /** A call has brought this one itself. */
  broughtByCall(name: string): void {
    this.#taken = name;
    this.#stoppedAt = undefined;
    this.#busyAt = this.#deps.clock.now();
    this.nudge();
  }

  nudge(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Goes on until the signal aborts. Throws when answers cannot be given. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look();
      if (this.#broken !== undefined) throw this.#broken;
      for (const name of this.#wanted()) void this.#bring(name);
      await this.#pause(signal);
    }
  }

  /** What was taken since the last look, and what is of no use any more. */
  async #look(): Promise<void> {
    // What comes to be ready while the directory is read may be missing from what was read.
    const before = [...this.#ready];
    const { here, taken } = await this.#deps.answers.names().catch((error: unknown) => {
      throw ioError(`could not look into the spool ${this.#deps.answers.path}`, error);
    });
    await this.#tidy(taken);
    for (const name of before) {
      if (here.has(name)) continue;
      this.#ready.delete(name);
      this.#taken = this.#later(this.#taken, name);
      this.#busyAt = this.#deps.clock.now();
    }
    const window = new Set(this.#window());
    for (const name of here) {
      if (window.has(name) || this.#coming.has(name)) continue;
      this.#ready.delete(name);
      await this.#deps.answers.drop(name);
    }
  }

  /** What calls have taken: not at once, for one may be about to link it into place. */
  async #tidy(taken: ReadonlySet<string>): Promise<void> {
    const now = this.#deps.clock.now();
    for (const name of this.#takenAt.keys()) if (!taken.has(name)) this.#takenAt.delete(name);
    for (const name of taken) {
      const at = this.#takenAt.get(name) ?? now;
      this.#takenAt.set(name, at);
      if (now - at >= TAKING_MS && !this.#coming.has(name)) await this.#deps.answers.drop(name);
    }
  }

  /** The names in the window, in order. */
  #window(): string[] {
    const names: string[] = [];
    let name: string | undefined = this.#taken;
    while (names.length < this.#limits.window) {
      name = this.#deps.after(name);
      if (name === undefined) break;
      names.push(name);
    }
    return names;
  }

  #later(a: string, b: string): string {
    return this.#window().includes(b) ? b : a;
  }

  #wanted(): string[] {
    const wanted: string[] = [];
    for (const name of this.#window()) {
      if (name === this.#stoppedAt || this.#coming.size + wanted.length >= this.#limits.jobs) break;
      if (!this.#ready.has(name) && !this.#coming.has(name)) wanted.push(name);
    }
    return wanted;
  }

  async #bring(name: string): Promise<void> {
    const { answers, fetch } = this.#deps;
    this.#coming.add(name);
    try {
      await answers.coming(name);
      if (await fetch(name)) {
        this.#ready.add(name);
        this.#fetched += 1;
        this.#lastError = undefined;
      } else {
        this.#stopAt(name);
      }
    } catch (error) {
      this.#stopAt(name);
      this.#failed(name, error);
    } finally {
      await answers.settled(name);
      this.#coming.delete(name);
      this.nudge();
    }
  }

  /** At the first of several. */
  #stopAt(name: string): void {
    const window = this.#window();
    const isFirst = this.#stoppedAt === undefined || window.indexOf(name) < window.indexOf(this.#stoppedAt);
    if (window.includes(name) && isFirst) this.#stoppedAt = name;
  }

  #failed(name: string, error: unknown): void {
    const { clock, log } = this.#deps;
    const now = clock.now();
    this.#lastError = { at: now, file: name, message: reasonOf(error) };
    if (now - this.#lastLineAt < LINE_EVERY_MS) return;
    this.#lastLineAt = now;
    const { detail, hint } = error instanceof WalholdError ? error : { detail: undefined, hint: undefined };
    log.error(reasonOf(error), { detail, hint });
  }

  async #pause(signal: AbortSignal): Promise<void> {
    if (!this.#woken) {
      const done = new AbortController();
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const over = this.#deps.clock.sleep(POLL_MS, AbortSignal.any([signal, done.signal])).catch(() => undefined);
      await Promise.race([woken, over]);
      done.abort();
      this.#wake = undefined;
    }
    this.#woken = false;
  }
}
