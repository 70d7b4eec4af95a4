/**
 * Lengthens what a repository needs for longer than it is locked. Directories that the newest record says are locked long enough
 * are not even listed; of those a slice is asked for again, and if one is not as it says, the record counts for nothing and
 * everything is asked for.
 */
import type { Clock } from '../../base/clock.ts';
import { reasonOf, WalholdError, type ErrorCode } from '../../base/errors.ts';
import { forEachParallel, mapParallel } from '../../base/parallel.ts';
import type { CallOptions, ObjectInfo, Protection, RetentionMode } from '../../store/store.ts';
import type { Repository } from '../repository.ts';
import { OPEN, type End } from './kept-backups.ts';
import { lockPlan, type LockDirectory, type LockPlan } from './lock-plan.ts';
import { ClaimCheck } from './claim-check.ts';
import { LockReader, versionOf, type SeenObject } from './lock-reader.ts';
import type { Claim } from './lock-record.ts';
import { storeRecord, type FoundRecord } from './lock-records.ts';
import { isEnough, isLongEnough, isStrictEnough, lengthened, type LockRule } from './lock-rule.ts';
import { surveyLocks, type LockSurvey } from './lock-survey.ts';
import { LockTally } from './lock-tally.ts';
import { isTodays } from './slice.ts';

export interface ExtendOptions extends CallOptions {
  jobs: number;
  clock: Clock;
  /** Who stores the record. */
  by: string;
  /** Says what would be lengthened, and changes nothing. */
  dryRun: boolean;
}

export interface ExtendReport {
  survey: LockSurvey;
  /** Lengthened, or with `dryRun` what would be. */
  extended: LockTally;
  /** Long enough, as the store said in this run. */
  enough: number;
  /** Long enough by the record. */
  byRecord: { directories: number; objects: number };
  /** Asked for one by one. */
  asked: number;
  /** What is still locked for too short; the first hundred by name. */
  failures: readonly { object: string; message: string }[];
  failureCount: number;
  /** The record that this run left; `undefined`: nothing new was to be said. */
  record: string | undefined;
  /** Why the newest record was not believed. */
  contradiction: { record: string; directory: string } | undefined;
}

const MOST_NAMED = 100;
/** So many refusals and not one success: the rest is refused too. */
const HOPELESS = 1000;
/** What no other object would fare better with. */
const ENDING: ReadonlySet<ErrorCode> = new Set(['unreachable', 'interrupted', 'deadline', 'store-gone']);
/** Objects of one directory that are worked on together. */
const BATCH = 1000;
/** A run that takes hours and is broken off shall not have been for nothing. */
const SAVE_EVERY_MS = 600_000;

/** Throws where nothing can be done at all: no repository, no answer, no right to lengthen anything. */
export async function extendLocks(
  repository: Repository,
  rule: LockRule,
  options: ExtendOptions,
): Promise<ExtendReport> {
  const survey = await surveyLocks(repository, { ...options, recordMaxAgeMs: rule.maxMs });
  const run = new ExtendRun(repository, rule, survey, options);
  await run.extend(lockPlan(survey, repository.retention));
  return run.report;
}

class ExtendRun {
  readonly report: ExtendReport & { failures: { object: string; message: string }[] };
  readonly #reader: LockReader;
  #rule: LockRule;
  readonly #options: ExtendOptions;
  readonly #survey: LockSurvey;
  /** What the next record says. */
  readonly #claims = new Map<string, Claim>();
  #byDefault: RetentionMode | undefined;
  #savedAt: number;
  #changed = false;

  constructor(repository: Repository, rule: LockRule, survey: LockSurvey, options: ExtendOptions) {
    this.#reader = new LockReader(repository, options);
    this.#rule = rule;
    this.#options = options;
    this.#survey = survey;
    this.#savedAt = options.clock.now();
    this.report = {
      survey,
      extended: new LockTally(),
      enough: 0,
      byRecord: { directories: 0, objects: 0 },
      asked: 0,
      failures: [],
      failureCount: 0,
      record: undefined,
      contradiction: undefined,
    };
  }

  async extend({ directories, objects }: LockPlan): Promise<void> {
    const { jobs, signal } = this.#options;
    if (this.#rule.mode === 'bucket') {
      const { defaultRetention } = await this.#reader.locks.bucket({ signal });
      this.#byDefault = typeof defaultRetention === 'object' ? defaultRetention.mode : undefined;
    }
    const [identity, ...histories] = objects;
    if (identity !== undefined) await this.#coverFirst(identity.info);
    await mapParallel(histories, this.#reader.lanes, ({ info }) => this.#cover(info, OPEN, new Covered(undefined)));
    const needed = directories.filter(({ end }) => end !== undefined);
    const claims = await this.#believed(needed);
    const rest: LockDirectory[] = [];
    for (const directory of needed) {
      const claim = claims.get(directory.prefix);
      if (this.#claims.has(directory.prefix)) continue;
      if (claim === undefined || !this.#isEnough(claim, directory.end)) rest.push(directory);
      else {
        this.#claims.set(directory.prefix, claim);
        this.report.byRecord.directories += 1;
        this.report.byRecord.objects += claim.objects;
      }
    }
    await forEachParallel(rest, jobs, async (directory) => {
      await this.#coverDirectory(directory, undefined);
      if (this.#options.clock.now() - this.#savedAt > SAVE_EVERY_MS) await this.#save();
    });
    this.report.asked = this.#reader.asked;
    await this.#save();
  }

  /** With it is found out whether this filesystem has the attribute that is wanted: most of what follows hangs on that. */
  async #coverFirst(info: ObjectInfo): Promise<void> {
    this.#reader.seesAttribute = this.#rule.attribute === true;
    const covered = new Covered(undefined);
    await this.#cover(info, OPEN, covered);
    if (!this.#reader.seesAttribute || covered.claim(true)?.mode === 'immutable') return;
    this.#reader.seesAttribute = false;
    this.#rule = { ...this.#rule, attribute: false };
  }

  /** The record's claims, unless today's slice of them is not so. */
  async #believed(needed: readonly LockDirectory[]): Promise<ReadonlyMap<string, Claim>> {
    const { newest } = this.#survey.records;
    if (newest === undefined) return new Map();
    const { claims } = newest.record;
    const asked = needed.filter(({ prefix }) => claims.has(prefix) && isTodays(prefix, this.#survey.now));
    await forEachParallel(asked, this.#options.jobs, async (directory) => {
      const isSo = await this.#coverDirectory(directory, newest);
      if (!isSo) this.report.contradiction ??= { record: newest.key, directory: directory.prefix };
    });
    return this.report.contradiction === undefined ? claims : new Map();
  }

  #isEnough({ whole, until, mode }: Claim, end: End | undefined): boolean {
    if (end === undefined || !whole) return false;
    return isStrictEnough(mode, this.#rule) && isLongEnough(until, end, this.#rule, this.#survey.now);
  }

  /** Lists a directory and lengthens what is in it. Answers whether what was found is what `record` says of it. */
  async #coverDirectory(directory: LockDirectory, record: FoundRecord | undefined): Promise<boolean> {
    const { prefix, end = 0, roleOf } = directory;
    const covered = new Covered(record === undefined ? undefined : new ClaimCheck(record, prefix));
    let segments = 0;
    let batch: ObjectInfo[] = [];
    const flush = async (): Promise<void> => {
      await mapParallel(batch, this.#reader.lanes, (info) => this.#cover(info, end, covered));
      batch = [];
    };
    for await (const info of this.#reader.list(prefix)) {
      const role = roleOf(info.key);
      if (role === undefined) continue;
      if (role === 'segment') segments += 1;
      const { protection } = info;
      const isFine = protection !== undefined && isEnough(protection.retention, end, this.#rule, this.#survey.now);
      // Of millions of objects most are fine: they take no promise each.
      if (isFine && !this.#reader.isMeddledWith(info.key)) this.#isFine({ info, protection }, covered);
      else if (batch.push(info) >= BATCH) await flush();
    }
    await flush();
    const claim = covered.claim(segments === directory.segments);
    if (claim !== undefined && !this.#options.dryRun) this.#claim(prefix, claim);
    return covered.check?.isSo ?? true;
  }

  #isFine(seen: SeenObject, covered: Covered): void {
    covered.add(seen, seen.protection);
    this.report.enough += 1;
  }

  /** Sees to one object. */
  async #cover(info: ObjectInfo, end: End, covered: Covered): Promise<void> {
    try {
      const versions = await this.#reader.versionsOf(info, this.#survey.systemId);
      if (versions.length > 1) covered.isPlain = false;
      for (const version of versions) {
        const seen = await this.#reader.see(version);
        if (seen === undefined) continue;
        if (isEnough(seen.protection.retention, end, this.#rule, this.#survey.now)) this.#isFine(seen, covered);
        else await this.#lengthen(seen, end, covered);
      }
    } catch (error) {
      covered.isPlain = false;
      this.#failed(info.key, error);
    }
  }

  async #lengthen(seen: SeenObject, end: End, covered: Covered): Promise<void> {
    const { info, protection } = seen;
    const { signal, dryRun } = this.#options;
    const { now } = this.#survey;
    const wanted = lengthened(protection.retention, end, this.#rule, { now, byDefault: this.#byDefault });
    const retain = (): ReturnType<LockReader['locks']['retain']> =>
      this.#reader.locks.retain(info.key, wanted, versionOf(info, signal));
    const retention = dryRun ? wanted : await this.#reader.places.run(retain);
    // Where the attribute cannot be set, mode and date are what there is.
    if (!isEnough(retention, end, { ...this.#rule, attribute: false }, now)) {
      throw new WalholdError('unlocked', `could not lengthen the lock of ${info.key}`, {
        detail: `it is ${retention.mode} until ${retention.until.toISOString()}`,
      });
    }
    covered.add(seen, { ...protection, retention });
    this.report.extended.add(info, { ...protection, retention });
  }

  /** One object that stays short is named; a store that is away, or refuses everything, ends the run. */
  #failed(object: string, error: unknown): void {
    this.#options.signal.throwIfAborted();
    if (!(error instanceof WalholdError) || ENDING.has(error.code)) throw error;
    this.report.failureCount += 1;
    const message = error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
    if (this.report.failures.length < MOST_NAMED) this.report.failures.push({ object, message });
    if (this.report.failureCount < HOPELESS || this.report.extended.objects > 0) return;
    throw new WalholdError(error.code, `could not lengthen any lock in ${this.#reader.repository.url}`, {
      detail: `${HOPELESS} objects were refused, the last one so: ${reasonOf(error)}`,
      hint: error.hint ?? 'See "walhold lock policy --for extender" for the rights that this needs.',
      cause: error,
    });
  }

  #claim(prefix: string, claim: Claim): void {
    const known = this.#survey.records.newest?.record.claims.get(prefix);
    if (known === undefined || !isSame(known, claim)) this.#changed = true;
    this.#claims.set(prefix, claim);
  }

  async #save(): Promise<void> {
    const { clock, by, signal, dryRun } = this.#options;
    this.#savedAt = clock.now();
    const { segmentBytes, systemId, now } = this.#survey;
    if (dryRun || segmentBytes === undefined || !(this.#changed || this.report.contradiction !== undefined)) return;
    this.#changed = false;
    const skew = this.#reader.repository.store.clockSkewMs?.() ?? 0;
    const at = new Date(Math.max(now, this.#savedAt + skew));
    const record = { systemId, at, by, segmentBytes, claims: new Map(this.#claims) };
    this.report.record = await storeRecord(this.#reader.repository, record, { signal });
  }
}

/** What is known of a directory at the end of its turn. */
class Covered {
  /** Against the record, if it is asked for because of that. */
  readonly check: ClaimCheck | undefined;
  readonly #after = new LockTally();
  /** Each object has one version, and each is locked long enough now. */
  isPlain = true;

  constructor(check: ClaimCheck | undefined) {
    this.check = check;
  }

  add(found: SeenObject, now: Protection): void {
    this.check?.add(found.info, found.protection);
    this.#after.add(found.info, now);
  }

  claim(whole: boolean): Claim | undefined {
    return this.isPlain ? this.#after.claim(whole) : undefined;
  }
}

/** As far as records tell them apart. */
function isSame(a: Claim, b: Claim): boolean {
  const seconds = (at: Date): number => Math.floor(at.getTime() / 1000);
  return (
    a.whole === b.whole &&
    a.objects === b.objects &&
    a.bytes === b.bytes &&
    a.mode === b.mode &&
    seconds(a.until) === seconds(b.until) &&
    seconds(a.latest) === seconds(b.latest)
  );
}
