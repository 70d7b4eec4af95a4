import type { Config } from '../config/config.ts';
import { closeRepositories, openRepositories, placeText, type Repository } from '../repository/repository.ts';
import { openLockMemory, type SpooledLockMemory } from '../spool/lock-memory.ts';
import type { Spool } from '../spool/spool.ts';
import type { StoreSettings } from '../store/open-store.ts';
import type { LockMemory } from '../store/store.ts';
import { warnOfSkew } from './clock-skew.ts';
import type { HookContext } from './hook-context.ts';
import { lockMemoryOf } from './lock-memory-of.ts';
import { warnOfTraces } from './warn-of-traces.ts';

type Memories = ReadonlyMap<string, SpooledLockMemory>;

/** After so long the notes are read anew: they run out, and calls of others write them too. */
const REOPEN_MS = 3_600_000;

/** The repositories that pushes go to, with what pushes remember of them, for one push or for many. */
export class PushRepositories {
  readonly all: readonly Repository[];
  readonly #context: PushDeps;
  readonly #held: { memories: Memories };
  #openedAt: number;
  /** How many traces of somebody else were told of. */
  #told = 0;
  #skewTold = false;

  private constructor(all: readonly Repository[], held: { memories: Memories }, context: PushDeps) {
    this.all = all;
    this.#held = held;
    this.#context = context;
    this.#openedAt = context.clock.now();
  }

  static async open(spool: Spool, context: PushDeps): Promise<PushRepositories> {
    const { config } = context;
    const memories = await openLockMemories(spool, context);
    const held = { memories };
    const lockMemory = (settings: StoreSettings): LockMemory | undefined => {
      const memory = (): SpooledLockMemory | undefined => held.memories.get(placeText(settings));
      if (memory() === undefined) return undefined;
      return { recall: (way) => memory()?.recall(way), remember: (way, seen) => memory()?.remember(way, seen) };
    };
    return new PushRepositories(await openRepositories(config, { ...context, lockMemory }), held, context);
  }

  /** Notes and says what pushes have seen since the last time. */
  async settle(spool: Spool): Promise<void> {
    const { log, clock } = this.#context;
    const traces = this.all.reduce((sum, { strangers }) => sum + strangers.length, 0);
    if (traces > this.#told) warnOfTraces(log, this.all);
    this.#told = traces;
    for (const memory of this.#held.memories.values()) await memory.save();
    if (!this.#skewTold) this.#skewTold = warnOfSkew(this.all, log);
    if (clock.now() - this.#openedAt < REOPEN_MS) return;
    this.#held.memories = await openLockMemories(spool, this.#context);
    this.#openedAt = clock.now();
    this.#skewTold = false;
  }

  async close(): Promise<void> {
    await closeRepositories(this.all);
  }
}

export interface PushDeps extends Pick<HookContext, 'clock' | 'random' | 'log'> {
  config: Pick<Config, 'repositories' | 'requestTimeoutMs'>;
}

/** By place, of the repositories that lock. */
async function openLockMemories(spool: Spool, { config, clock }: PushDeps): Promise<Memories> {
  const memories = new Map<string, SpooledLockMemory>();
  for (const { store, lock } of config.repositories) {
    if (lock === undefined) continue;
    const about = lockMemoryOf({ store, lock });
    memories.set(about.place, await openLockMemory(spool, about, { now: clock.now() }));
  }
  return memories;
}
