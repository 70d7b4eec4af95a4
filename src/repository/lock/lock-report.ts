/**
 * What is protected until when, and what that is needed is not. Where listings tell (files, GCS) everything is as the store says at
 * this moment. Elsewhere directories count as the newest record has them, younger objects as locked for a period from their
 * storing, and a slice is asked for, to prove it.
 */
import { forEachParallel } from '../../base/parallel.ts';
import type { BucketProtection, CallOptions, ObjectInfo, Protection } from '../../store/store.ts';
import { LOCK_PREFIX, type BackupId } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { heldMarks } from './backup-hold.ts';
import { ClaimCheck } from './claim-check.ts';
import { OPEN, type BackupEnds, type End } from './kept-backups.ts';
import { lockPlan, type LockDirectory, type LockPlan } from './lock-plan.ts';
import { LockReader } from './lock-reader.ts';
import type { Claim } from './lock-record.ts';
import { isEnough, leastUntil, type LockRule } from './lock-rule.ts';
import { surveyLocks, type LockSurvey } from './lock-survey.ts';
import { LockTally } from './lock-tally.ts';
import { isTodays } from './slice.ts';

export const OBJECT_CLASSES = ['wal', 'history', 'backup', 'identity', 'other'] as const;
export type ObjectClass = (typeof OBJECT_CLASSES)[number];

export interface LockReport {
  survey: LockSurvey;
  bucket: BucketProtection;
  classes: Readonly<Record<ObjectClass, LockTally>>;
  /** Oldest first. */
  backups: readonly BackupLocks[];
  short: { count: number; objects: readonly ShortLock[] };
  /**
   * Objects by what vouches for their locks. `belied`: asked for, and locked for less than their age says (`lock_period` was raised,
   * or locks came later): then the age of others says nothing either.
   */
  proof: { byStore: number; byRecord: number; byAge: number; belied: number };
  /** Directories that are not as the record says; the first hundred. */
  contradictions: readonly string[];
}

export interface BackupLocks {
  ends: BackupEnds;
  /** Its own objects. */
  tally: LockTally;
  /** Held by `lock hold`, with all that it needs. */
  held: boolean;
}

/** Something needed that is not locked long enough: an object, or by the record a directory. */
export interface ShortLock {
  object: string;
  /** How many objects that is. */
  objects: number;
  lockedUntil: Date | undefined;
  /** How long it should be locked now, at the least. */
  neededUntil: Date;
}

export interface ReportOptions extends CallOptions {
  jobs: number;
  clock: { now(): number };
}

/** Where an object counts. */
interface Place {
  /** `undefined`: nobody needs it. */
  end: End | undefined;
  tallies: LockTally[];
  /** Whether it may be asked for, where listings do not tell. */
  mayAsk: boolean;
  check?: ClaimCheck | undefined;
}

const DAY_MS = 86_400_000;
const MOST_NAMED = 100;
/** Requests for single objects, about: a run of some seconds. */
const MOST_ASKED = 1000;
/** In a backup of which nothing is known: its parts, and what describes them. */
const FEW_OBJECTS = 5;
/** Junk is counted so far. */
const MOST_OTHER = 10_000;

/** Throws what the store says, and `store-gone` where no repository is. `rule` undefined: nothing is asked of any lock. */
export async function lockReport(
  repository: Repository,
  rule: LockRule | undefined,
  options: ReportOptions,
): Promise<LockReport> {
  const recordMaxAgeMs = rule?.maxMs ?? Infinity;
  const survey = await surveyLocks(repository, { ...options, recordMaxAgeMs });
  const run = new ReportRun(repository, rule, survey, options);
  return await run.report(lockPlan(survey, repository.retention));
}

class ReportRun {
  readonly #reader: LockReader;
  readonly #rule: LockRule | undefined;
  readonly #survey: LockSurvey;
  readonly #jobs: number;
  readonly #classes: Record<ObjectClass, LockTally>;
  readonly #byBackup = new Map<BackupId, LockTally>();
  readonly #short: { count: number; objects: ShortLock[] } = { count: 0, objects: [] };
  readonly #proof = { byStore: 0, byRecord: 0, byAge: 0, belied: 0 };
  readonly #contradictions: string[] = [];
  /** Every so many-th object is asked for: of what the record claims in today's slice, of all else everywhere. */
  #strides = { claimed: 1, unclaimed: 1 };
  /** Of the object that was listed last; begins elsewhere every day. */
  #index: number;

  constructor(repository: Repository, rule: LockRule | undefined, survey: LockSurvey, options: ReportOptions) {
    this.#reader = new LockReader(repository, options);
    this.#rule = rule;
    this.#survey = survey;
    this.#jobs = options.jobs;
    this.#index = Math.floor(survey.now / DAY_MS);
    const tally = (): LockTally => new LockTally();
    this.#classes = { wal: tally(), history: tally(), backup: tally(), identity: tally(), other: tally() };
  }

  async report({ directories, objects, backups }: LockPlan): Promise<LockReport> {
    const { signal } = this.#reader;
    const bucket = await this.#reader.locks.bucket({ signal });
    for (const { info, kind } of objects)
      await this.#count(info, { end: OPEN, tallies: [this.#classes[kind]], mayAsk: true });
    const isClaimed = ({ prefix }: LockDirectory): boolean => this.#claimOf(prefix) !== undefined;
    const ofSlice = directories.filter((one) => isClaimed(one) && isTodays(one.prefix, this.#survey.now));
    this.#strides = {
      claimed: this.#strideOver(ofSlice),
      unclaimed: this.#strideOver(directories.filter((one) => !isClaimed(one))),
    };
    await forEachParallel(directories, this.#jobs, (directory) => this.#directory(directory));
    const held = await heldMarks(this.#reader);
    await this.#countOther();
    return {
      survey: this.#survey,
      bucket,
      classes: this.#classes,
      backups: backups.map((ends) => {
        const id = ends.backup.id as BackupId;
        return { ends, tally: this.#byBackup.get(id) ?? new LockTally(), held: held.has(id) };
      }),
      short: this.#short,
      proof: this.#proof,
      contradictions: this.#contradictions,
    };
  }

  /** So that about `MOST_ASKED` are asked for of these directories. */
  #strideOver(directories: readonly LockDirectory[]): number {
    const claims = this.#survey.records.newest?.record.claims;
    const objectsOf = ({ prefix, segments }: LockDirectory): number =>
      claims?.get(prefix)?.objects ?? Math.max(segments, FEW_OBJECTS);
    return Math.max(1, Math.ceil(directories.reduce((sum, one) => sum + objectsOf(one), 0) / MOST_ASKED));
  }

  async #directory(directory: LockDirectory): Promise<void> {
    const { prefix, kind, end, id, roleOf } = directory;
    const tallies = [this.#classes[kind]];
    if (id !== undefined) tallies.push(this.#tallyOf(id));
    const claim = this.#claimOf(prefix);
    if (claim !== undefined && !this.#survey.listingsTell && !isTodays(prefix, this.#survey.now)) {
      this.#byRecord(prefix, claim, end, tallies);
      return;
    }
    const { newest } = this.#survey.records;
    const check = newest === undefined || claim === undefined ? undefined : new ClaimCheck(newest, prefix);
    const other = { end: undefined, tallies: [this.#classes.other], mayAsk: false };
    const told = { end, tallies, mayAsk: false, check };
    const asked = { ...told, mayAsk: true };
    const stride = claim === undefined ? this.#strides.unclaimed : this.#strides.claimed;
    for await (const info of this.#reader.list(prefix)) {
      this.#index += 1;
      // What is not much is asked for as a whole.
      const isTurn = this.#reader.asked < MOST_ASKED / 2 || this.#index % stride === 0;
      const asking = this.#count(info, roleOf(info.key) === undefined ? other : isTurn ? asked : told);
      if (asking !== undefined) await asking;
    }
    if (check?.isSo === false) this.#contradicted(prefix);
  }

  /** What the record says of a directory to which nothing comes any more. */
  #claimOf(prefix: string): Claim | undefined {
    const claim = this.#survey.records.newest?.record.claims.get(prefix);
    return claim?.whole === true ? claim : undefined;
  }

  #byRecord(prefix: string, claim: Claim, end: End | undefined, tallies: readonly LockTally[]): void {
    for (const tally of tallies) tally.addClaim(claim);
    this.#proof.byRecord += claim.objects;
    this.#judge(prefix, claim.objects, { mode: claim.mode, until: claim.until }, end);
  }

  /** Of millions of objects that listings tell all of, none waits for a promise. */
  #count(info: ObjectInfo, place: Place): Promise<void> | undefined {
    if (info.protection === undefined) return this.#ask(info, place);
    this.#add(info, info.protection, place);
    this.#proof.byStore += 1;
    place.check?.add(info, info.protection);
    return undefined;
  }

  /** Of one of which the listing does not tell. */
  async #ask(info: ObjectInfo, place: Place): Promise<void> {
    const byAge = this.#byAge(info);
    // What was lengthened since looks short by its age: nothing is called short unasked, as long as there is time to ask.
    const isDoubtful = !this.#isEnough(byAge.retention, place.end) && this.#reader.asked < 2 * MOST_ASKED;
    const seen = place.mayAsk || isDoubtful ? await this.#reader.see(info) : undefined;
    const protection = seen?.protection ?? byAge;
    this.#add(info, protection, place);
    if (seen === undefined) this.#proof.byAge += 1;
    else this.#proof.byStore += 1;
    place.check?.add(info, seen?.protection);
    if (isShorter(protection, byAge)) this.#proof.belied += 1;
  }

  #add(info: ObjectInfo, protection: Protection, { tallies, end }: Place): void {
    for (const tally of tallies) tally.add(info, protection);
    this.#judge(info.key, 1, protection.retention, end);
  }

  /** What an object that was locked when it was stored has left. */
  #byAge({ storedAt }: ObjectInfo): Protection {
    const rule = this.#rule;
    if (rule === undefined) return { retention: undefined, hold: false };
    const until = new Date(storedAt.getTime() + rule.periodMs);
    const mode = rule.mode === 'compliance' ? 'compliance' : 'governance';
    return { retention: until.getTime() > this.#survey.now ? { mode, until } : undefined, hold: false };
  }

  #judge(object: string, objects: number, lock: Protection['retention'], end: End | undefined): void {
    const { now } = this.#survey;
    if (end === undefined || this.#rule === undefined || this.#isEnough(lock, end)) return;
    this.#short.count += objects;
    if (this.#short.objects.length >= MOST_NAMED) return;
    const neededUntil = new Date(leastUntil(end, this.#rule, now));
    this.#short.objects.push({ object, objects, lockedUntil: lock?.until, neededUntil });
  }

  #isEnough(lock: Protection['retention'], end: End | undefined): boolean {
    if (end === undefined || this.#rule === undefined) return true;
    return isEnough(lock, end, this.#rule, this.#survey.now);
  }

  #contradicted(what: string): void {
    if (this.#contradictions.length < MOST_NAMED) this.#contradictions.push(what);
  }

  #tallyOf(id: BackupId): LockTally {
    const known = this.#byBackup.get(id) ?? new LockTally();
    this.#byBackup.set(id, known);
    return known;
  }

  async #countOther(): Promise<void> {
    const { other, unfinished } = this.#survey;
    const places = [
      LOCK_PREFIX,
      ...unfinished.map((id) => `backup/${id}/`),
      ...other.flatMap((entry) => (entry.kind === 'directory' ? [entry.prefix] : [])),
    ];
    const tallies = [this.#classes.other];
    for (const entry of other)
      if (entry.kind === 'object') await this.#count(entry, { end: undefined, tallies, mayAsk: false });
    for (const prefix of places) {
      for await (const info of this.#reader.list(prefix)) {
        await this.#count(info, { end: undefined, tallies, mayAsk: false });
        if (this.#classes.other.objects >= MOST_OTHER) return;
      }
    }
  }
}

function isShorter({ retention }: Protection, than: Protection): boolean {
  const until = retention?.until.getTime() ?? 0;
  // Store clocks and listings have whole seconds.
  return than.retention !== undefined && until + 2000 < than.retention.until.getTime();
}
