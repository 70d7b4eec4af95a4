/** What a worker does for a recovery: brings the segments that it will ask for, each by the judgement of a direct fetch. */
import { watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { splitArguments } from '../config/arguments.ts';
import { hostZone } from '../postgres/target-time.ts';
import { DEFAULT_SEGMENT_BYTES, parseWalName } from '../postgres/wal-name.ts';
import { chooseRepositories } from '../repository/repository.ts';
import { hasRecoverySignal } from '../server/data-directory.ts';
import { servedName } from '../spool/call-key.ts';
import { FetchAnswers } from '../spool/fetch-answers.ts';
import { clearOutage } from '../spool/fetch-outage.ts';
import { clearError } from '../spool/last-error.ts';
import type { ServiceRequest } from '../spool/requests.ts';
import { announceService, listedHistories, SERVICE_DIRECTORY } from '../spool/service.ts';
import { openSpool } from '../spool/spool.ts';
import type { RoleState } from '../spool/worker-state.ts';
import { FetchAhead } from '../worker/fetch-ahead.ts';
import { segmentAfter } from '../worker/recovery-order.ts';
import { ThreadPool } from '../worker/thread-pool.ts';
import { parseAsOf } from './as-of.ts';
import { takeFetchOptions } from './fetch-options.ts';
import type { Fetched, FetchThreadInput, ToFetch } from './fetch-protocol.ts';
import { readRecoveryTarget, type RecoveryTarget } from './fetch-target.ts';
import { spoolPathOf } from './local-cluster.ts';
import { warnOfTraces } from './warn-of-traces.ts';
import type { RunningService, ServedSettings, WorkContext, WorkedCluster } from './work-context.ts';

/** A call that finds its segment on the way waits for it, in these units, within what its outage may cost. */
const POLL_MS = 10;
const LONGEST_WAIT_MS = 10_000;

interface Parts {
  answers: FetchAnswers;
  histories: string;
  target: RecoveryTarget;
  pool: ThreadPool<ToFetch, Fetched>;
  /** The segment that the first call brought. */
  taken: string;
}

export class FetchService implements RunningService {
  readonly role = 'fetch';
  readonly settings: ServedSettings;
  readonly #cluster: WorkedCluster;
  readonly #context: WorkContext;
  readonly #parts: Parts;
  readonly #ahead: FetchAhead;

  private constructor(cluster: WorkedCluster, settings: ServedSettings, parts: Parts, context: WorkContext) {
    this.settings = settings;
    this.#cluster = cluster;
    this.#context = context;
    this.#parts = parts;
    const segmentBytes = cluster.control.segmentBytes ?? DEFAULT_SEGMENT_BYTES;
    const { jobs, fetchAheadBytes } = settings.config;
    const { clock, log } = context;
    const deps = {
      fetch: async (name: string) => await this.#fetch(name),
      after: (name: string) => this.#after(name, segmentBytes),
      answers: parts.answers,
      clock,
      log,
    };
    const window = Math.max(1, Math.floor(fetchAheadBytes / segmentBytes));
    this.#ahead = new FetchAhead(deps, { jobs, window }, parts.taken);
  }

  /** Returns once calls are told that they are served. `undefined`: nobody can be served here. */
  static async start(
    cluster: WorkedCluster,
    settings: ServedSettings,
    request: ServiceRequest,
    context: WorkContext,
  ): Promise<FetchService | undefined> {
    const { dataDirectory, control } = cluster;
    const { config, key, configFile } = settings;
    const taken = servedName('walhold-fetch', request.argv);
    if (taken === undefined) return undefined;
    // Before any answer is judged by them.
    const histories = await historiesIn(dataDirectory);
    const target = await readRecoveryTarget(dataDirectory);
    const answers = await FetchAnswers.create(spoolPathOf(dataDirectory, config), dataDirectory);
    const input = threadInput(request, settings, { ...control, answers: answers.path });
    const pool = new ThreadPool<ToFetch, Fetched>(() => context.makeThread('fetch-thread', input), config.jobs);
    const polls = Math.floor(Math.min(LONGEST_WAIT_MS, config.unreachableTimeoutMs / 2) / POLL_MS);
    const note = { key, pid: context.pid, polls, answers: answers.path, config: configFile, histories };
    if (!(await announceService(join(dataDirectory, SERVICE_DIRECTORY), 'fetch', note))) return undefined;
    return new FetchService(cluster, settings, { answers, histories, target, pool, taken }, context);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { answers, pool } = this.#parts;
    const stopped = new AbortController();
    const watcher = watch(answers.path, { signal: stopped.signal }, () => this.#ahead.nudge());
    // It is looked at every second anyway.
    watcher.on('error', () => undefined);
    try {
      await this.#ahead.run(signal);
    } finally {
      stopped.abort();
      pool.rest();
    }
  }

  called({ argv }: ServiceRequest): void {
    const name = servedName('walhold-fetch', argv);
    if (name !== undefined) this.#ahead.broughtByCall(name);
  }

  get answers(): string {
    return this.#parts.answers.path;
  }

  get state(): RoleState {
    const { state, inFlight, fetched, lastError = null } = this.#ahead.state;
    return { role: this.role, state, inFlight, done: fetched, lastError };
  }

  get busyAt(): number {
    return this.#ahead.busyAt;
  }

  rest(): void {
    this.#parts.pool.rest();
  }

  async isOver(): Promise<string | undefined> {
    const { dataDirectory } = this.#cluster;
    if (!(await hasRecoverySignal(dataDirectory))) return 'recovery has ended';
    return (await historiesIn(dataDirectory)) === this.#parts.histories ? undefined : 'there are other timelines';
  }

  #after(name: string, segmentBytes: number): string | undefined {
    const file = parseWalName(name);
    if (file?.kind !== 'segment') return undefined;
    return segmentAfter(file, { segmentBytes, target: this.#parts.target.historyAfter(file.timeline) });
  }

  async #fetch(name: string): Promise<boolean> {
    const { pool, target } = this.#parts;
    const { latest, historyAfter } = target;
    const timeline = parseWalName(name)?.timeline;
    if (timeline === undefined) return false;
    const { found, traces } = await pool.ask({ kind: 'fetch', name, latest, target: historyAfter(timeline) });
    warnOfTraces(this.#context.log, traces);
    if (found) await this.#noteAnswer();
    return found;
  }

  /** As a direct fetch does: a file that one of several had tells nothing of the others. */
  async #noteAnswer(): Promise<void> {
    const { config } = this.settings;
    const { log, clock } = this.#context;
    if (config.repositories.length > 1) return;
    const spool = await openSpool(spoolPathOf(this.#cluster.dataDirectory, config), log, clock.now());
    await clearOutage(spool);
    await clearError(spool, 'fetch');
  }
}

async function historiesIn(dataDirectory: string): Promise<string> {
  return listedHistories(await readdir(join(dataDirectory, 'pg_wal')));
}

/** Throws `usage`, as the call itself would have. */
function threadInput(
  { argv }: ServiceRequest,
  { config }: ServedSettings,
  { systemId, segmentBytes = DEFAULT_SEGMENT_BYTES, answers }: WorkedCluster['control'] & { answers: string },
): FetchThreadInput {
  const { useRepo, asOf } = takeFetchOptions(splitArguments(argv).rest);
  const { requestTimeoutMs } = config;
  return {
    repositories: chooseRepositories(config.repositories, useRepo),
    requestTimeoutMs,
    asOf: asOf === undefined ? undefined : parseAsOf(asOf, hostZone).at,
    systemId,
    segmentBytes,
    reachMs: requestTimeoutMs,
    answers,
  };
}
