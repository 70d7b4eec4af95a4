/** When an object is protected long enough, and what it is given otherwise. Pure; all times in ms since 1970 by the store's clock. */
import type { LockRequest, Retention, RetentionMode } from '../../store/store.ts';
import { OPEN, type End } from './kept-backups.ts';

export interface LockRule extends LockRequest {
  maxMs: number;
  /** Whether files get the immutable attribute too: then read-only alone is too little. */
  attribute?: boolean;
}

/** Stores keep whole seconds. */
export const TOLERANCE_MS = 1000;

/** The lock's end that is enough now for what is needed until `end`. */
export function leastUntil(end: End, rule: LockRule, now: number): number {
  if (end === OPEN) return now + rule.periodMs / 2;
  // As for no end at all: what is set once must last for some runs.
  return end > now + rule.maxMs ? now + rule.maxMs / 2 : end;
}

/** The end that a lock is lengthened to. */
export function longestUntil(end: End, rule: LockRule, now: number): number {
  return Math.min(end === OPEN ? now + rule.periodMs : end, now + rule.maxMs);
}

/** Whether a lock may stay as it is. */
export function isEnough(lock: Retention | undefined, end: End, rule: LockRule, now: number): boolean {
  return lock !== undefined && isStrictEnough(lock.mode, rule) && isLongEnough(lock.until, end, rule, now);
}

export function isLongEnough(until: Date, end: End, rule: LockRule, now: number): boolean {
  return until.getTime() + TOLERANCE_MS >= leastUntil(end, rule, now);
}

export function isStrictEnough(mode: RetentionMode, rule: LockRule): boolean {
  if (mode === 'read-only') return rule.attribute !== true;
  return rule.mode !== 'compliance' || mode === 'compliance' || mode === 'immutable';
}

/**
 * What a lock that is not enough becomes: never shorter, never weaker. `byDefault`: the mode of the bucket's own locks, for
 * `lock_mode = bucket`.
 */
export function lengthened(
  lock: Retention | undefined,
  end: End,
  rule: LockRule,
  { now, byDefault }: { now: number; byDefault: RetentionMode | undefined },
): { mode: 'governance' | 'compliance'; until: Date } {
  const wanted = rule.mode === 'bucket' ? (byDefault ?? 'governance') : rule.mode;
  const mode = wanted === 'compliance' || lock?.mode === 'compliance' ? 'compliance' : 'governance';
  const until = Math.max(longestUntil(end, rule, now), lock?.until.getTime() ?? 0);
  return { mode, until: new Date(Math.ceil(until / 1000) * 1000) };
}

/** From weak to strict. */
const STRICTNESS: readonly RetentionMode[] = ['read-only', 'governance', 'policy', 'immutable', 'compliance'];

export function weaker(a: RetentionMode, b: RetentionMode): RetentionMode {
  return STRICTNESS.indexOf(a) <= STRICTNESS.indexOf(b) ? a : b;
}

export function isWeaker(a: RetentionMode, than: RetentionMode): boolean {
  return STRICTNESS.indexOf(a) < STRICTNESS.indexOf(than);
}
