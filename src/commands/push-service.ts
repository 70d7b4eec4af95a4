/** What a worker does for the archiver: everything that a push does, ahead of it, by the same rules. */
import { watch } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../base/errors.ts';
import { prepareIn } from '../worker/prepared-file.ts';
import { ThreadPool } from '../worker/thread-pool.ts';
import { UsedMemory } from '../worker/used-memory.ts';
import type { Prepared, PrepareInput, ToPrepare } from '../worker/thread-protocol.ts';
import { PushAhead } from '../worker/push-ahead.ts';
import { DEFAULT_SEGMENT_BYTES } from '../postgres/wal-name.ts';
import { readyNames } from '../server/archive-status.ts';
import { servedName } from '../spool/call-key.ts';
import { clearError } from '../spool/last-error.ts';
import { PushAnswers } from '../spool/push-answers.ts';
import type { ServiceRequest } from '../spool/requests.ts';
import { announceService, SERVICE_DIRECTORY } from '../spool/service.ts';
import { openSpool } from '../spool/spool.ts';
import type { RoleState } from '../spool/worker-state.ts';
import type { PreparedWal } from '../repository/wal-object.ts';
import { deadlineAfter } from './deadline.ts';
import { spoolPathOf } from './local-cluster.ts';
import { storeOwnWal } from './store-own-wal.ts';
import { pushPrepared } from './push-everywhere.ts';
import { PushRepositories } from './push-repositories.ts';
import type { RunningService, ServedSettings, WorkContext, WorkedCluster } from './work-context.ts';

/** A call waits for its answer, in these units, for half of what a push may take. Then it goes the direct way. */
const POLL_MS = 10;
const LONGEST_WAIT_MS = 20_000;

interface Parts {
  answers: PushAnswers;
  repositories: PushRepositories;
  pool: ThreadPool<ToPrepare, Prepared>;
}

export class PushService implements RunningService {
  readonly role = 'push';
  readonly settings: ServedSettings;
  readonly #cluster: WorkedCluster;
  readonly #context: WorkContext;
  readonly #answers: PushAnswers;
  readonly #repositories: PushRepositories;
  readonly #pool: ThreadPool<ToPrepare, Prepared>;
  readonly #memory: UsedMemory;
  readonly #ahead: PushAhead;

  private constructor(
    cluster: WorkedCluster,
    settings: ServedSettings,
    { answers, repositories, pool }: Parts,
    context: WorkContext,
    withCall: string | undefined,
  ) {
    this.settings = settings;
    this.#cluster = cluster;
    this.#context = context;
    this.#answers = answers;
    this.#repositories = repositories;
    const { config } = settings;
    const { dataDirectory, control } = cluster;
    this.#pool = pool;
    this.#memory = new UsedMemory(config.jobs + 1);
    this.#ahead = new PushAhead(
      {
        readyNames: async () => await readyNames(dataDirectory),
        pathOf: (name) => join(dataDirectory, 'pg_wal', name),
        prepare: async (name, path) => await prepareIn(this.#pool, this.#memory, { name, path }),
        store: async (wal) => await this.#store(wal),
        answers,
        clock: context.clock,
        random: context.random,
        log: context.log,
      },
      {
        jobs: config.jobs,
        segmentBytes: control.segmentBytes ?? DEFAULT_SEGMENT_BYTES,
        pushAheadBytes: config.pushAheadBytes,
        withCall,
      },
    );
  }

  /** Returns once calls are told that they are served. `undefined`: this filesystem's times are too coarse to serve anybody. */
  static async start(
    cluster: WorkedCluster,
    settings: ServedSettings,
    { argv }: ServiceRequest,
    context: WorkContext,
  ): Promise<PushService | undefined> {
    const { config, key, configFile } = settings;
    const { clock, random, log, pid, by } = context;
    const input: PrepareInput = { cluster: cluster.control, level: config.compressLevel, by };
    const pool = new ThreadPool<ToPrepare, Prepared>(() => context.makeThread('push-thread', input), config.jobs);
    // They take as long to come up as all that follows.
    pool.begin();
    const answers = await PushAnswers.create(
      spoolPathOf(cluster.dataDirectory, settings.config),
      cluster.dataDirectory,
    );
    const spool = await openSpool(spoolPathOf(cluster.dataDirectory, settings.config), log, clock.now());
    const repositories = await PushRepositories.open(spool, { config, clock, random, log });
    const polls = Math.floor(Math.min(LONGEST_WAIT_MS, config.pushTimeoutMs / 2) / POLL_MS);
    const note = { key, pid, polls, answers: answers.path, config: configFile };
    if (await announceService(join(cluster.dataDirectory, SERVICE_DIRECTORY), 'push', note)) {
      return new PushService(
        cluster,
        settings,
        { answers, repositories, pool },
        context,
        servedName('walhold-push', argv),
      );
    }
    pool.rest();
    return undefined;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { dataDirectory } = this.#cluster;
    const stopped = new AbortController();
    const watcher = watch(join(dataDirectory, 'pg_wal', 'archive_status'), { signal: stopped.signal }, () =>
      this.#ahead.nudge(),
    );
    // It is looked at every second anyway.
    watcher.on('error', () => undefined);
    const minding = this.#mindOwnWal(AbortSignal.any([signal, stopped.signal]));
    try {
      await this.#ahead.run(signal);
    } finally {
      stopped.abort();
      await minding;
      this.#pool.rest();
      await this.#repositories.close();
    }
  }

  called(): void {
    this.#ahead.nudge({ retry: true });
  }

  get answers(): string {
    return this.#answers.path;
  }

  get state(): RoleState {
    const { state, inFlight, stored, lastError = null } = this.#ahead.state;
    return { role: this.role, state, inFlight, done: stored, lastError };
  }

  get busyAt(): number {
    return this.#ahead.busyAt;
  }

  rest(): void {
    this.#memory.clear();
    this.#pool.rest();
  }

  /** The archiver asks within a minute, whatever it met before: one that does not has another command now. */
  isOver(): Promise<string | undefined> {
    const { unusedSince } = this.#ahead;
    const isUnused = unusedSince !== undefined && this.#context.clock.now() - unusedSince > ASKS_WITHIN_MS;
    return Promise.resolve(isUnused ? 'the server does not ask for what is stored' : undefined);
  }

  /** A promotion may come at any time. Whatever stands against it is said, and tried again. */
  async #mindOwnWal(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#context;
    const { config } = this.settings;
    while (!signal.aborted) {
      let isFine = false;
      try {
        const spool = await openSpool(spoolPathOf(this.#cluster.dataDirectory, config), log, clock.now());
        isFine = (await storeOwnWal({ ...this.#context, signal }, config, spool)) !== 'failed';
      } catch (error) {
        if (!signal.aborted) log.warning('could not look for WAL that was never archived', { detail: reasonOf(error) });
      }
      await clock.sleep(isFine ? PROMOTED_WITHIN_MS : OWN_WAL_AGAIN_MS, signal).catch(() => undefined);
    }
  }

  async #store(wal: PreparedWal): Promise<void> {
    const { config } = this.settings;
    const { clock, log, by, signal } = this.#context;
    using deadline = deadlineAfter(config.pushTimeoutMs, clock, signal);
    // Anew each time: calls that went the direct way leave notes too.
    const spool = await openSpool(spoolPathOf(this.#cluster.dataDirectory, config), log, clock.now());
    try {
      await pushPrepared(this.#repositories.all, wal, spool, { config, clock, log, by, signal: deadline.signal });
      await clearError(spool, 'push');
    } finally {
      await this.#repositories.settle(spool);
    }
  }
}

const ASKS_WITHIN_MS = 90_000;
/** pg_control is looked at so often. */
const PROMOTED_WITHIN_MS = 5000;
const OWN_WAL_AGAIN_MS = 60_000;
