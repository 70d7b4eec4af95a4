/**
 * The worker: one per data directory, for one run of its postmaster and one set of settings. It makes calls quick and nothing else:
 * whatever is odd ends it, calls go the direct way meanwhile, and the next one starts another.
 */
import { watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { readControlFile, readPostmasterLines } from '../server/data-directory.ts';
import { clearAnswers } from '../spool/answers.ts';
import { STORE_VARIABLES } from '../spool/call-key.ts';
import { noteUnserved, takeRequest, type ServiceRequest } from '../spool/requests.ts';
import { endService, isUnchanged, readService, SERVICE_DIRECTORY, type Role } from '../spool/service.ts';
import { openSpool } from '../spool/spool.ts';
import { clearWorkerState, noteWorkerState } from '../spool/worker-state.ts';
import { takeCluster } from '../worker/mutex.ts';
import { FetchService } from './fetch-service.ts';
import { spoolPathOf } from './local-cluster.ts';
import { PushService } from './push-service.ts';
import { servedSettings } from './served-settings.ts';
import type { RunningService, ServedSettings, WorkContext, WorkedCluster } from './work-context.ts';

const LOOK_EVERY_MS = 1000;
/** What is needed only while there is something to do is kept so long for more of it. */
const REST_AFTER_MS = 3_000;

/** Serves until there is nothing left to serve. */
export async function work(context: WorkContext): Promise<void> {
  const { dataDirectory, log } = context;
  const mutex = await takeCluster(dataDirectory);
  if (mutex === undefined) return;
  try {
    const cluster = await lookAt(dataDirectory);
    await new Serving(cluster, context).run();
  } catch (error) {
    logFailure(log, error);
  } finally {
    mutex.close();
  }
}

async function lookAt(dataDirectory: string): Promise<WorkedCluster> {
  const [directory, run, control] = await Promise.all([
    stat(dataDirectory, { bigint: true }),
    readPostmasterLines(dataDirectory),
    readControlFile(dataDirectory),
  ]);
  if (run !== undefined && control !== undefined) {
    return { dataDirectory, device: directory.dev, inode: directory.ino, run, control };
  }
  throw new WalholdError('server', `there is no server in ${dataDirectory}`);
}

class Serving {
  readonly #cluster: WorkedCluster;
  readonly #context: WorkContext;
  readonly #directory: string;
  readonly #since: number;
  readonly #stop = new AbortController();
  readonly #services = new Map<Role, { service: RunningService; running: Promise<void> }>();
  #wake: (() => void) | undefined;
  /** Something happened since the last look began. */
  #isNudged = false;
  #noted = '';
  /** For how many looks in a row all services have rested. */
  #restingLooks = 0;
  /** Why it ends. */
  #over: string | undefined;
  /** Nobody serves this server any more, and somebody may be removing the data directory: nothing is touched there. */
  #isAbandoned = false;

  constructor(cluster: WorkedCluster, context: WorkContext) {
    this.#cluster = cluster;
    this.#context = context;
    this.#directory = join(cluster.dataDirectory, SERVICE_DIRECTORY);
    this.#since = context.clock.now();
  }

  async run(): Promise<void> {
    const { clock, log, signal } = this.#context;
    const stopped = new AbortController();
    // What tells of a call, of the end of recovery and of the server's.
    const watched = [this.#directory, this.#cluster.dataDirectory].map((path) =>
      watch(path, { signal: stopped.signal }, (_, name) => {
        if (name !== null && /^request-|^postmaster\.pid$|\.signal$/.test(name)) this.#nudge();
      }),
    );
    // They are looked at every second anyway.
    for (const watcher of watched) watcher.on('error', () => undefined);
    try {
      while (this.#over === undefined && !signal.aborted) {
        this.#isNudged = false;
        await this.#look();
        if (this.#over !== undefined) break;
        const { promise: woken, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        if (this.#isNudged) continue;
        await Promise.race([woken, clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)]);
      }
      if (!this.#isAbandoned) log.info(`ending: ${this.#over ?? 'told to stop'}`);
    } finally {
      stopped.abort();
      this.#stop.abort(new WalholdError('interrupted', 'the worker ends'));
      for (const { running } of this.#services.values()) await running;
      if (!this.#isAbandoned) await this.#withdraw();
    }
  }

  #nudge(): void {
    this.#isNudged = true;
    this.#wake?.();
  }

  async #withdraw(): Promise<void> {
    for (const { service } of this.#services.values()) await endService(this.#directory, service.role, service);
    await clearWorkerState(await this.#spool());
  }

  async #look(): Promise<void> {
    const ended = await this.#clusterIsOver();
    if (ended !== undefined) this.#isAbandoned = true;
    this.#over ??= ended;
    if (this.#over !== undefined) return;
    const spool = await this.#spool();
    for (const role of ROLES) {
      const request = await takeRequest(spool, role, this.#cluster.run);
      if (request !== undefined) await this.#serve(request);
    }
    this.#over ??= await this.#servicesAreOver();
    this.#rest();
    await this.#note();
  }

  /** The services first: their threads end meanwhile, and what they leave is given back at the next look. */
  #rest(): void {
    const { clock, releaseMemory } = this.#context;
    const services = [...this.#services.values()].map(({ service }) => service);
    const resting = services.filter(({ busyAt }) => clock.now() - busyAt > REST_AFTER_MS);
    for (const service of resting) service.rest();
    this.#restingLooks = services.length > resting.length ? 0 : this.#restingLooks + 1;
    if (this.#restingLooks === 2) releaseMemory();
  }

  /** The server that is served, by all that tells it from another. */
  async #clusterIsOver(): Promise<string | undefined> {
    const { dataDirectory, run, control, device, inode } = this.#cluster;
    const directory = await stat(dataDirectory, { bigint: true }).catch(() => undefined);
    if (directory?.dev !== device || directory.ino !== inode) return 'the data directory is another';
    const now = await readPostmasterLines(dataDirectory);
    if (now?.join('\n') !== run.join('\n') || !this.#context.isAlive(Number(run[0]))) return 'the server has ended';
    const systemId = (await readControlFile(dataDirectory))?.systemId;
    return systemId === control.systemId ? undefined : 'the cluster is another';
  }

  /** Any reason against one service ends all; but one that has no more use than that leaves the other alone. */
  async #servicesAreOver(): Promise<string | undefined> {
    const now = this.#context.clock.now();
    let longest = 'nobody is to be served';
    let isIdle = true;
    for (const { service } of this.#services.values()) {
      const { config, configFile } = service.settings;
      if (!(await isUnchanged(configFile))) return 'the configuration file has changed';
      const announced = await readService(this.#directory, service.role);
      if (announced !== undefined && announced.answers !== service.answers) return 'another worker serves';
      const over = await service.isOver();
      if (over !== undefined) return over;
      longest = 'there is nothing to do';
      isIdle &&= now - service.busyAt > config.workerIdleMs;
    }
    return isIdle ? longest : undefined;
  }

  async #serve(request: ServiceRequest): Promise<void> {
    const { role } = request;
    const settings = await servedSettings(request, this.#cluster);
    const { environment } = this.#context;
    const current = this.#services.get(role)?.service;
    if (settings === undefined) {
      // Left by a call of earlier settings, it concerns nobody any more.
      if (current !== undefined) this.#over = 'the settings leave nothing to serve';
    } else if (STORE_VARIABLES.some((name) => (environment[name] ?? '') !== (request.environment[name] ?? ''))) {
      this.#over = 'a call came from another environment';
    } else if (current === undefined) {
      await this.#begin(request, settings);
    } else if (settings.key === current.settings.key) {
      current.called(request);
    } else {
      this.#over = 'a call came with other settings';
    }
  }

  async #begin(request: ServiceRequest, settings: ServedSettings): Promise<void> {
    const { log, clock } = this.#context;
    const { role } = request;
    // A spool that cannot be used: not every call shall try a worker on it.
    const noteTrouble = async (): Promise<void> => noteUnserved(await this.#spool(), this.#cluster.run, clock.now());
    const service = await this.#start(request, settings).catch(async (error: unknown) => {
      await noteTrouble();
      throw error;
    });
    if (service === undefined) return noteUnserved(await this.#spool(), this.#cluster.run);
    log.info(`serving walhold-${role} for the server with process ${this.#cluster.run[0]}`);
    const running = service.run(this.#stop.signal).catch(async (error: unknown) => {
      logFailure(log, error);
      await noteTrouble();
      this.#over = 'it cannot serve';
      this.#nudge();
    });
    this.#services.set(role, { service, running });
  }

  async #start(request: ServiceRequest, settings: ServedSettings): Promise<RunningService | undefined> {
    const { dataDirectory } = this.#cluster;
    const inUse = [...this.#services.values()].map(({ service }) => service.answers);
    await clearAnswers(spoolPathOf(dataDirectory, settings.config), dataDirectory, inUse);
    return request.role === 'push'
      ? await PushService.start(this.#cluster, settings, request, this.#context)
      : await FetchService.start(this.#cluster, settings, request, this.#context);
  }

  async #note(): Promise<void> {
    const roles = [...this.#services.values()].map(({ service }) => service.state);
    const text = JSON.stringify(roles);
    if (text === this.#noted) return;
    this.#noted = text;
    const { pid, clock } = this.#context;
    await noteWorkerState(await this.#spool(), { pid, since: this.#since, at: clock.now(), roles });
  }

  async #spool(): ReturnType<typeof openSpool> {
    return await openSpool(this.#directory, this.#context.log, this.#context.clock.now());
  }
}

const ROLES: readonly Role[] = ['push', 'fetch'];

function logFailure(log: Log, error: unknown): void {
  const { detail, hint } = error instanceof WalholdError ? error : { detail: undefined, hint: undefined };
  log.error(reasonOf(error), { detail, hint });
}
