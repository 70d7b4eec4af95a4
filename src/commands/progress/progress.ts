/**
 * How far a long command has come: one phase after another, each with the bytes it has done. Whoever wants to see it, on a terminal,
 * in a program, in a note for `status`, is shown a snapshot now and then.
 */
import type { Clock } from '../../base/clock.ts';
import { RecentRate } from './recent-rate.ts';

export interface ProgressSnapshot {
  /** Ready to be read: `copying`, `waiting for WAL`. */
  phase: string;
  bytesDone: number;
  /** `null`: nobody knows. */
  bytesTotal: number | null;
  /** Bytes a second, lately; `null`: not known yet. */
  rate: number | null;
  secondsLeft: number | null;
  /** ISO 8601 UTC. */
  at: string;
  /** More that this phase has to say. */
  more?: string;
}

/** `phase`: one has just begun, or comes to its end; `end`: all is over. */
export type ProgressMoment = 'tick' | 'phase' | 'end';

export type ProgressView = (snapshot: ProgressSnapshot, moment: ProgressMoment) => void;

/** What a phase measures itself by. */
export interface ProgressMeasure {
  done: () => number;
  total?: number | undefined;
  more?: () => string;
}

const EACH_MS = 1_000;
const NOTHING: ProgressMeasure = { done: () => 0 };

export class Progress implements AsyncDisposable {
  readonly #views: readonly ProgressView[];
  readonly #clock: Clock;
  readonly #over = new AbortController();
  readonly #ticking: Promise<void>;
  #phase: { name: string; measure: ProgressMeasure; rate: RecentRate } | undefined;

  /** Without views nothing is done. Dispose of it: the last snapshot comes then. */
  constructor(views: readonly ProgressView[], clock: Clock) {
    this.#views = views;
    this.#clock = clock;
    this.#ticking = views.length === 0 ? Promise.resolve() : this.#tick();
  }

  phase(name: string, measure: ProgressMeasure = NOTHING): void {
    if (this.#phase !== undefined) this.#show('phase');
    this.#phase = { name, measure, rate: new RecentRate(this.#clock.now(), measure.done()) };
    this.#show('phase');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    await this.#ticking;
    this.#show('end');
  }

  async #tick(): Promise<void> {
    for (;;) {
      const over = await this.#clock.sleep(EACH_MS, this.#over.signal).then(
        () => false,
        () => true,
      );
      if (over) return;
      this.#show('tick');
    }
  }

  #show(moment: ProgressMoment): void {
    if (this.#phase === undefined || this.#views.length === 0) return;
    const { name, measure, rate } = this.#phase;
    const now = this.#clock.now();
    const { total, more } = measure;
    const all = measure.done();
    // Files grow while they are copied.
    const bytesDone = total === undefined ? all : Math.min(all, total);
    const recent = rate.at(now, all);
    const left = total === undefined || recent === undefined || recent <= 0 ? undefined : (total - bytesDone) / recent;
    const snapshot: ProgressSnapshot = {
      phase: name,
      bytesDone,
      bytesTotal: total ?? null,
      rate: recent === undefined ? null : Math.round(recent),
      secondsLeft: left === undefined ? null : Math.ceil(left),
      at: new Date(now).toISOString(),
      ...(more === undefined ? {} : { more: more() }),
    };
    for (const view of this.#views) view(snapshot, moment);
  }
}
