/**
 * One repository: what goes, in the order in which nothing is ever left that looks like a backup and is none. First the records of the
 * backups, children before their parents: without its record it is an upload that did not end. Then the rest of their objects,
 * then WAL. A run that is broken off is finished by the next one, which knows from the index what was given up.
 */
import { WalholdError } from '../../base/errors.ts';
import { forEachParallel, mapParallel } from '../../base/parallel.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { backupPrefix, commitKey, type BackupId } from '../../repository/layout.ts';
import { OPEN, type End, type NeededBackup } from '../../repository/lock/kept-backups.ts';
import { backupRole } from '../../repository/lock/lock-plan.ts';
import type { Repository } from '../../repository/repository.ts';
import { storeExpired } from '../../repository/retention/expired-records.ts';
import { planExpiry, type ExpiryPlan } from '../../repository/retention/expiry-plan.ts';
import { surveyExpiry, type ExpirySurvey } from '../../repository/retention/expiry-survey.ts';
import { givenUp, isKnown } from '../../repository/retention/given-up.ts';
import { lockEnd, type StoredLog } from '../../repository/retention/stored-log.ts';
import type { CallOptions, ObjectInfo, RemovingStore } from '../../store/store.ts';
import { isoOf, type ExpiredJson, type ExpireOutput } from './expire-output.ts';
import { Removal, type Doomed, type Removed } from './removal.ts';
import { requireNoSkew } from './require-no-skew.ts';

export interface ExpireRepositoryOptions extends CallOptions {
  jobs: number;
  clock: Clock;
  log: Log;
  /** Who leaves the index. */
  by: string;
  retention: { windowMs: number; fullBackups: number };
  /** `undefined`: nothing is removed, only told. */
  openRemover: ((repository: Repository) => Promise<RemovingStore>) | undefined;
  output: ExpireOutput;
}

/** Throws at the first thing that keeps it from going on; what was removed until then is in the output. */
export async function expireRepository(
  repository: Repository,
  options: ExpireRepositoryOptions,
  report: ExpiredJson,
): Promise<void> {
  const survey = await surveyExpiry(repository, options);
  requireNoSkew(repository.url, repository.store.clockSkewMs?.());
  requireNoSkew(repository.url, Math.max(0, survey.lastStoredAt - options.clock.now()));
  const run = new ExpiryRun(repository, survey, options, report);
  await run.expire();
}

export function emptyReport({ number, url }: Repository): ExpiredJson {
  const counts = { removedObjects: 0, removedBytes: 0, skippedObjects: 0 };
  return { repository: number, url, backups: [], ...counts, nextFree: null, record: null };
}

class ExpiryRun {
  readonly #repository: Repository;
  readonly #survey: ExpirySurvey;
  readonly #options: ExpireRepositoryOptions;
  readonly #report: ExpiredJson;
  /** Backups that cannot go yet. */
  readonly #locked = new Map<string, End>();
  /** Backups without a record by now. */
  readonly #unmade = new Set<BackupId>();
  #removal: Removal;

  constructor(repository: Repository, survey: ExpirySurvey, options: ExpireRepositoryOptions, report: ExpiredJson) {
    this.#repository = repository;
    this.#survey = survey;
    this.#options = options;
    this.#report = report;
    this.#removal = this.#removalBy(undefined);
  }

  async expire(): Promise<void> {
    this.#tellOfOthers();
    const first = this.#plan();
    if (!first.hasRestorable) return;
    const ends = await mapParallel(first.going, this.#options.jobs, (one) => this.#lockOf(one));
    for (const [at, until] of ends.entries()) if (until > this.#now) this.#locked.set(first.going[at]?.id ?? '', until);
    const plan = this.#plan();
    const remover = await this.#begin(plan);
    this.#removal = this.#removalBy(remover);
    try {
      const final = await this.#unmakeBackups(plan);
      this.#skipLocked(final);
      await this.#removeRest();
      await this.#removeWal(final);
    } finally {
      await remover?.close();
    }
  }

  get #now(): number {
    return this.#survey.input.now;
  }

  #plan(): ExpiryPlan {
    return planExpiry({ ...this.#survey.input, locked: this.#locked });
  }

  #removalBy(remover: RemovingStore | undefined): Removal {
    const { signal, jobs } = this.#options;
    return new Removal({ store: this.#repository.store, remover, now: this.#now, jobs, signal });
  }

  #tellOfOthers(): void {
    const { log } = this.#options;
    const { underWay, foreign, input } = this.#survey;
    const { url } = this.#repository;
    for (const id of underWay) log.info(`${id} in ${url} may be a backup under way: nothing that it may need goes`);
    for (const id of foreign) log.warning(`${id} in ${url} is of another cluster, and stays`);
    if (!planExpiry({ ...input, locked: this.#locked }).hasRestorable) {
      log.warning(`nothing was removed from ${url}: it holds no backup that can be restored`, {
        hint: 'Take a backup, and see "walhold verify".',
      });
    }
  }

  /** What is known without trying: by listings, by the record of locks, or by asking for the backup's record. */
  async #lockOf({ id }: NeededBackup): Promise<End> {
    const objects = this.#survey.objects.get(id as BackupId) ?? [];
    const claim = this.#claimOf(backupPrefix(id as BackupId));
    const told = objects.map((one) => lockEnd(one) ?? 0);
    const { store } = this.#repository;
    const commit = objects.find(({ key }) => key === commitKey(id as BackupId));
    const known = Math.max(claim, ...told);
    if (commit === undefined || commit.protection !== undefined || known > this.#now) return known;
    const { signal } = this.#options;
    const which = commit.version === undefined ? { signal } : { signal, version: commit.version };
    const protection = await store.locks?.look(commit.key, which).catch((error: unknown) => {
      if (error instanceof WalholdError && ['denied', 'unsupported'].includes(error.code)) return undefined;
      throw error;
    });
    return protection?.hold === true ? OPEN : (protection?.retention?.until.getTime() ?? 0);
  }

  #claimOf(prefix: string): End {
    return this.#survey.claims.get(prefix)?.until.getTime() ?? 0;
  }

  /** Leaves the index, and proves by it that the clocks agree. Resolves to what removes; `undefined`: nothing is to be removed. */
  async #begin(plan: ExpiryPlan): Promise<RemovingStore | undefined> {
    const { openRemover, signal, clock, by } = this.#options;
    if (openRemover === undefined) return undefined;
    const { systemId, input, expired, abandoned, logs } = this.#survey;
    const backups = [...plan.going.map(({ id }) => id as BackupId), ...abandoned];
    const wal = givenUp(logs, plan.wal, expired, input.segmentBytes);
    if (backups.length === 0 && !logs.some((log) => hasDoomed(log, plan))) return undefined;
    if (!isKnown(expired, { backups, wal })) {
      const at = new Date(clock.now() + (this.#repository.store.clockSkewMs?.() ?? 0));
      const record = { systemId, at, by, segmentBytes: input.segmentBytes, backups, wal };
      const info = await storeExpired(this.#repository, record, { signal });
      this.#report.record = info.key;
      requireNoSkew(this.#repository.url, info.storedAt.getTime() - clock.now());
    }
    return await openRemover(this.#repository);
  }

  /** Removes the records of backups. One that proves to be locked changes the plan. Resolves to the plan that held in the end. */
  async #unmakeBackups(plan: ExpiryPlan): Promise<ExpiryPlan> {
    const left = plan.going.filter(({ id }) => !this.#unmade.has(id as BackupId));
    let isLocked = false;
    await forEachParallel(chainsOf(left), this.#options.jobs, async (chain) => {
      for (const { id } of chain) {
        const prefix = backupPrefix(id as BackupId);
        const commit = this.#survey.objects.get(id as BackupId)?.filter(({ key }) => key === commitKey(id as BackupId));
        let until: End | undefined;
        await this.#removal.removeAll(
          prefix,
          (commit ?? []).map((one) => this.#doomed(one, prefix)),
          (one, outcome) => {
            if (outcome.kind === 'locked') until = outcome.until;
            else this.#tell(one, outcome);
          },
        );
        if (until !== undefined) {
          this.#locked.set(id, until);
          isLocked = true;
          return;
        }
        this.#unmade.add(id as BackupId);
        this.#report.backups.push(id);
      }
    });
    return isLocked ? await this.#unmakeBackups(this.#plan()) : plan;
  }

  #skipLocked(plan: ExpiryPlan): void {
    for (const { backup, until } of plan.lockedOnes) {
      for (const { key } of this.#survey.objects.get(backup.id as BackupId) ?? []) this.#skip(key, until);
    }
  }

  /** What is left of backups, and of uploads that did not end. */
  async #removeRest(): Promise<void> {
    const { abandoned, objects } = this.#survey;
    await forEachParallel([...this.#unmade, ...abandoned], this.#options.jobs, async (id) => {
      const prefix = backupPrefix(id);
      const isOurs = backupRole(id, Infinity, true);
      const own = (objects.get(id) ?? []).filter(({ key }) => isOurs(key) !== undefined && key !== commitKey(id));
      const isUpload = !this.#unmade.has(id);
      // Somebody may have ended it meanwhile.
      if (isUpload && (await this.#isThere(commitKey(id)))) return;
      let removed = 0;
      const names = own.map((one) => this.#doomed(one, prefix));
      await this.#removal.removeAll(prefix, names, (one, outcome) => {
        this.#tell(one, outcome);
        if (outcome.kind === 'removed') removed += 1;
      });
      if (isUpload && removed > 0) this.#report.backups.push(id);
    });
  }

  async #isThere(key: string): Promise<boolean> {
    return (await this.#repository.store.stat(key, { signal: this.#options.signal })) !== undefined;
  }

  async #removeWal({ wal }: ExpiryPlan): Promise<void> {
    const { logs } = this.#survey;
    const doomed = logs.filter(({ timeline, first, last }) => !wal.hasAll(timeline, first, last));
    await forEachParallel(doomed, this.#options.jobs, async (log) => {
      const names: Doomed[] = [];
      const claim = this.#claimOf(log.prefix);
      const presumed = log.lastStoredAt + (this.#repository.lock?.periodMs ?? 0);
      const isWhole = !wal.hasAny(log.timeline, log.first, log.last);
      for (const { key, segno, bytes, until } of log.objects()) {
        if (!isWhole && wal.has(log.timeline, segno)) continue;
        names.push({ key, bytes, until: claim > this.#now ? claim : until, presumed });
      }
      await this.#removal.removeAll(log.prefix, names, (one, outcome) => this.#tell(one, outcome));
    });
  }

  #doomed(info: ObjectInfo, prefix: string): Doomed {
    const claim = this.#claimOf(prefix);
    const presumed = info.storedAt.getTime() + (this.#repository.lock?.periodMs ?? 0);
    return { key: info.key, bytes: info.bytes, until: claim > this.#now ? claim : lockEnd(info), presumed };
  }

  #tell({ key, bytes }: Doomed, outcome: Removed): void {
    if (outcome.kind === 'locked') {
      this.#skip(key, outcome.until);
      return;
    }
    this.#report.removedObjects += 1;
    this.#report.removedBytes += bytes;
    this.#options.output.removed(key);
  }

  #skip(key: string, until: End): void {
    const report = this.#report;
    report.skippedObjects += 1;
    const iso = isoOf(until);
    if (iso !== null && (report.nextFree === null || iso < report.nextFree)) report.nextFree = iso;
    this.#options.output.skipped(this.#repository.number, key, until);
  }
}

function hasDoomed(log: StoredLog, { wal }: ExpiryPlan): boolean {
  if (wal.hasAll(log.timeline, log.first, log.last)) return false;
  for (const { segno } of log.objects()) if (!wal.has(log.timeline, segno)) return true;
  return false;
}

/** Backups that build on one another, each before its parent; what has nothing to do with one another apart. */
function chainsOf(going: readonly NeededBackup[]): NeededBackup[][] {
  const byId = new Map(going.map((one) => [one.id, one]));
  const rootOf = new Map<string, string>();
  // Parents come later in the list.
  for (const one of going.toReversed()) {
    const parent = one.parent === undefined ? undefined : byId.get(one.parent);
    rootOf.set(one.id, parent === undefined ? one.id : (rootOf.get(parent.id) ?? parent.id));
  }
  return [...Map.groupBy(going, ({ id }) => rootOf.get(id) ?? id).values()];
}
