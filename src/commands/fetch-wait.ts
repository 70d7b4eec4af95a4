/**
 * What to do with each round's outcome, by the kind of recovery: the rules for stores that cannot be reached, for holes, and for
 * what is damaged. Whoever reads on may rely on this: archive recovery hears "absent" only when it is proven.
 */
import { hasCode, reasonOf, WalholdError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import { placeText, worstOf, type Repository, type RepositoryFailure } from '../repository/repository.ts';
import type { Postmaster } from '../server/data-directory.ts';
import { clearOutage, noteOutageSpent, readOutageSpent } from '../spool/fetch-outage.ts';
import { rememberRepository } from '../spool/known-repositories.ts';
import { clearError, noteError } from '../spool/last-error.ts';
import type { Spool } from '../spool/spool.ts';
import type { Asker } from './asker.ts';
import { askOnce, type Round, type Wanted } from './fetch-round.ts';
import type { HookContext } from './hook-context.ts';

export interface WaitOptions {
  systemId: bigint | undefined;
  segmentBytes: number | undefined;
  /** Recovery that never ends by itself: a standby's. */
  standby: boolean;
  postmaster: Postmaster | undefined;
  latest: boolean;
  target: TimelineHistory | undefined;
  /** A server that was killed does not tell its commands. */
  asker: Asker;
  /** A history file that lies in pg_wal: the server reads that one if it is told that ours is absent. */
  haveLocally: boolean;
  /** By which the call is longer already. */
  waitedMs: number;
  /** The file at which WAL may end. */
  allowGap: string | undefined;
  spool: Spool;
}

export interface WaitContext extends Pick<HookContext, 'log' | 'clock' | 'random' | 'signal'> {
  config: Pick<Config, 'onUnreachable' | 'unreachableTimeoutMs' | 'gapGraceMs'>;
}

/** What a call may take whose budget is spent: all of it stays under 2 s. */
const PROBE_MS = 1000;
/** A server that has the file itself need not wait long for ours. */
const LOCAL_MS = 2000;
const GRACE_PAUSE_MS = 1000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const LINE_EVERY_MS = 60_000;
/** Whose outage it is where no server runs: a person's, trying. */
const NO_SERVER = 'no server';

/** The file's verified content, or `undefined`: it is to be called absent. Throws whatever must stop recovery. */
export async function waitForAnswer(
  repositories: readonly Repository[],
  file: Wanted,
  options: WaitOptions,
  context: WaitContext,
): Promise<Buffer | undefined> {
  return new Waiting(repositories, file, options, context).answer();
}

class Waiting {
  readonly #repositories: readonly Repository[];
  readonly #file: Wanted;
  readonly #options: WaitOptions;
  readonly #context: WaitContext;
  readonly #begun: number;
  /** Of the outage's budget, by earlier calls. */
  #spentBefore = 0;
  #failures = 0;
  #lastLineAt: number;

  constructor(repositories: readonly Repository[], file: Wanted, options: WaitOptions, context: WaitContext) {
    this.#repositories = repositories;
    this.#file = file;
    this.#options = options;
    this.#context = context;
    this.#begun = context.clock.now() - options.waitedMs;
    this.#lastLineAt = this.#begun;
  }

  async answer(): Promise<Buffer | undefined> {
    this.#spentBefore = await readOutageSpent(this.#options.spool, this.#run());
    for (;;) {
      const round = await this.#ask();
      const decided = await this.#judge(round);
      if (decided !== 'again') return decided;
    }
  }

  async #ask(): Promise<Round> {
    const { signal, clock } = this.#context;
    const { systemId, segmentBytes, latest, target, haveLocally } = this.#options;
    const left = this.#budgetLeftMs();
    const reachMs = Math.min(haveLocally ? LOCAL_MS : Infinity, Math.max(left, PROBE_MS), 2 ** 30);
    const probeFirst = this.#failures > 0 || this.#spentBefore > 0;
    return askOnce(this.#repositories, this.#file, {
      signal,
      clock,
      systemId,
      segmentBytes,
      latest,
      target,
      reachMs,
      probeFirst,
    });
  }

  async #judge(round: Round): Promise<Buffer | undefined | 'again'> {
    const { log } = this.#context;
    if (round.kind === 'unknown') return this.#judgeUnknown(round.failures);
    // A file that one repository had tells nothing of the others.
    if (round.kind !== 'found' || this.#repositories.length === 1) await this.#allAnswered();
    switch (round.kind) {
      case 'found':
        for (const { repository, error } of round.failures) {
          log.warning(`could not read ${this.#file.name} from ${repository.url}; ${round.from.url} has it`, {
            detail: describe(error),
          });
        }
        return round.plain;
      case 'absent':
        await this.#rememberRepositories();
        return undefined;
      case 'hole':
      case 'stray':
        return this.#judgeGap(round);
    }
  }

  async #judgeGap(round: Extract<Round, { kind: 'hole' | 'stray' }>): Promise<undefined | 'again'> {
    const { name } = this.#file;
    const { config, clock, signal, log } = this.#context;
    if (this.#options.allowGap === name) {
      log.warning(`WAL ends at ${name}, as allow_gap says`);
      return undefined;
    }
    const error = gapError(name, round);
    if (this.#options.standby) return this.#goOnWithout(error);
    // An upload may be in flight, and files arrive in no order.
    const leftMs = this.#begun + config.gapGraceMs - clock.now();
    if (leftMs <= 0) throw error;
    await clock.sleep(Math.min(GRACE_PAUSE_MS, leftMs), signal);
    return 'again';
  }

  async #judgeUnknown(failures: readonly RepositoryFailure[]): Promise<undefined | 'again'> {
    const { config, log } = this.#context;
    const { standby, haveLocally } = this.#options;
    // Waiting mends no setting: where one is wrong, nothing is gone on without, once all others have been waited for.
    const misconfigured = failures.filter((failure) => hasCode(failure.error, 'config'));
    const error = asWalholdError(worstOf([...new Set([...misconfigured, ...failures])]));
    const giveUp = async (): Promise<undefined> => {
      if (misconfigured.length > 0) throw error;
      return this.#goOnWithout(error);
    };
    const worthWaiting = failures.some((failure) => hasCode(failure.error, 'unreachable'));
    this.#failures += 1;
    if (worthWaiting && haveLocally && misconfigured.length === 0) {
      log.warning(`could not look for ${this.#file.name}; the server has it in pg_wal`, { detail: describe(error) });
      return undefined;
    }
    if (!worthWaiting) {
      if (standby) return giveUp();
      throw error;
    }
    if (!standby && config.onUnreachable === 'auto') return this.#pause(error);
    if (this.#budgetLeftMs() > 0) return this.#pause(error);
    await this.#noteSpent();
    if (config.onUnreachable === 'stop') throw error;
    return giveUp();
  }

  async #pause(error: WalholdError): Promise<'again'> {
    const { clock, signal, random, log } = this.#context;
    const now = clock.now();
    if (now - this.#lastLineAt >= LINE_EVERY_MS || this.#failures === 1) {
      log.warning(`waiting for ${this.#file.name}: ${error.message}`, { detail: error.detail, hint: error.hint });
      this.#lastLineAt = now;
    }
    this.#options.asker.requireWaiting();
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures, 20));
    await clock.sleep(Math.max(1, Math.min(random() * longest, this.#budgetLeftMs())), signal);
    return 'again';
  }

  /** For a standby, and with `on_unreachable = absent`: the server goes on without the archive. */
  async #goOnWithout(error: WalholdError): Promise<undefined> {
    const { log, clock } = this.#context;
    const { message, detail, hint } = error;
    log.error(`going on without ${this.#file.name}: ${message}`, { detail, hint });
    await noteError(this.#options.spool, 'fetch', this.#file.name, error, clock.now());
    return undefined;
  }

  /** Infinite where recovery waits for ever. */
  #budgetLeftMs(): number {
    const { config } = this.#context;
    if (!this.#options.standby && config.onUnreachable === 'auto') return Infinity;
    return config.unreachableTimeoutMs - this.#spent();
  }

  #spent(): number {
    return this.#spentBefore + this.#context.clock.now() - this.#begun;
  }

  async #noteSpent(): Promise<void> {
    await noteOutageSpent(this.#options.spool, this.#run(), this.#spent());
  }

  #run(): string {
    return this.#options.postmaster?.run ?? NO_SERVER;
  }

  /** Each has just shown its identity: after a promotion, pushes shall know them. */
  async #rememberRepositories(): Promise<void> {
    const { spool, systemId } = this.#options;
    if (systemId === undefined) return;
    for (const { settings } of this.#repositories) await rememberRepository(spool, placeText(settings), systemId);
  }

  async #allAnswered(): Promise<void> {
    const { spool } = this.#options;
    await clearOutage(spool);
    await clearError(spool, 'fetch');
  }
}

function gapError(name: string, round: Extract<Round, { kind: 'hole' | 'stray' }>): WalholdError {
  if (round.kind === 'hole') {
    return new WalholdError('hole', `${name} is missing in every repository, but WAL goes on behind it`, {
      detail: `${round.hole.next} is stored`,
      hint: `Store it from pg_wal of a server that has it ("walhold wal push"); only if it is lost for good, allow_gap = '${name}' lets WAL end there.`,
    });
  }
  const { target, fork } = round.stray;
  return new WalholdError(
    'stray-timeline',
    `${name} lies behind the fork to timeline ${target}, of which no segment is stored`,
    {
      detail: `timeline ${target} forked in ${fork}; replaying its parent further would lose one of the two histories`,
      hint: `Set recovery_target_timeline to the number of the timeline you want, or store the segments of timeline ${target}.`,
    },
  );
}

function asWalholdError(error: unknown): WalholdError {
  if (error instanceof WalholdError) return error;
  return new WalholdError('unreachable', 'could not ask the repositories', { detail: reasonOf(error), cause: error });
}

function describe(error: unknown): string {
  if (!(error instanceof WalholdError)) return reasonOf(error);
  return error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
}
