/**
 * What of a repository may go, and in which order. Pure. The arithmetic is that of the locks (`lock/kept-backups.ts`,
 * `lock/wal-needs.ts`): what is needed beyond now stays, all else goes.
 *
 * What may not be removed yet, since it is locked, is planned with as what it is: a backup that stays, with all that it builds on and
 * the WAL that makes it consistent. So nothing is left that looks like a backup and is none.
 */
import { liesOn } from '../coverage.ts';
import { pathLegs } from '../recovery-path.ts';
import {
  backupEnds,
  byChain,
  OPEN,
  type BackupEnds,
  type End,
  type HistoryFacts,
  type NeededBackup,
  type Retention,
} from '../lock/kept-backups.ts';
import { neededSpans, type NeededSpan } from '../lock/wal-needs.ts';
import { SegmentNeeds } from './segment-needs.ts';

export interface ExpiryInput {
  readonly backups: readonly NeededBackup[];
  readonly facts: HistoryFacts;
  readonly retention: Retention & { readonly windowMs: number };
  readonly segmentBytes: number;
  /** Milliseconds since 1970, by the earlier of the clocks that count. */
  readonly now: number;
  /** Backups that cannot be removed yet: until when, as far as that is known (`OPEN` otherwise). */
  readonly locked: ReadonlyMap<string, End>;
}

export interface ExpiryPlan {
  /** Backups that go: each before all that it builds on. */
  readonly going: readonly NeededBackup[];
  /** Backups whose turn is over and that stay, since they, or what builds on them, are locked. */
  readonly lockedOnes: readonly { backup: NeededBackup; until: End }[];
  readonly staying: readonly NeededBackup[];
  readonly wal: SegmentNeeds;
  /** Whether any backup can be restored. If none can, nothing goes: what is left may be all that there is. */
  readonly hasRestorable: boolean;
}

/**
 * So long after the last object of an upload without a record, or the last segment of a timeline that no backup leads to, was stored,
 * it is taken for given up.
 */
export const GRACE_MS: number = 7 * 86_400_000;

export function planExpiry(input: ExpiryInput): ExpiryPlan {
  const { backups, facts, retention, now, locked } = input;
  const plain = backupEnds(backups, retention, facts);
  const hasRestorable = plain.some(({ restorable }) => restorable);
  const overdue = new Set(hasRestorable ? plain.filter(isOver(now)).map(({ backup }) => backup.id) : []);
  const withLocks = backups.map((one) => ({
    ...one,
    keep: later(one.keep, overdue.has(one.id) ? locked.get(one.id) : undefined),
  }));
  const ends = backupEnds(withLocks, retention, facts);
  const going = ends.filter(({ backup, objects }) => overdue.has(backup.id) && objects <= now);
  const stays = ends.filter(({ backup, objects }) => !overdue.has(backup.id) || objects > now);
  return {
    going: going.map(({ backup }) => backup).sort((a, b) => byChain(b, a)),
    lockedOnes: stays
      .filter(({ backup }) => overdue.has(backup.id))
      .map(({ backup, objects }) => ({ backup, until: objects })),
    staying: stays.map(({ backup }) => backup),
    wal: hasRestorable ? walThatStays(stays, input) : SegmentNeeds.everything(facts.timelines),
    hasRestorable,
  };
}

function isOver(now: number): (ends: BackupEnds) => boolean {
  return ({ objects }) => objects <= now;
}

function walThatStays(stays: readonly BackupEnds[], input: ExpiryInput): SegmentNeeds {
  const { facts, segmentBytes, now } = input;
  // Whoever restores what stays only for what builds on it must be able to.
  const consistent = stays.map((one) => ({ ...one, alone: one.objects }));
  return new SegmentNeeds([...neededSpans(consistent, facts, { segmentBytes, now }), ...withoutBackup(stays, input)]);
}

/** WAL of timelines that no backup leads to, or perhaps one that is being taken. */
function* withoutBackup(
  stays: readonly BackupEnds[],
  { facts, retention, segmentBytes, now }: ExpiryInput,
): Generator<NeededSpan> {
  for (const timeline of facts.timelines) {
    const history = facts.historyOf(timeline);
    const on = stays.filter(({ backup, restorable }) => restorable && liesOn(backup, history));
    const legs = pathLegs(history, 0n, segmentBytes);
    const { takenSince } = facts;
    if (takenSince !== undefined && !on.some(({ backup }) => backup.stoppedAt.getTime() <= takenSince)) {
      for (const leg of legs) yield { ...leg, end: OPEN };
      continue;
    }
    const end = (facts.lastStoredAt(timeline) ?? 0) + Math.max(retention.windowMs, GRACE_MS);
    if (on.length > 0 || end <= now) continue;
    // Its own alone: from nowhere one comes through its ancestors.
    for (const leg of legs) if (leg.timeline === timeline) yield { ...leg, end };
  }
}

function later(a: End | undefined, b: End | undefined): End | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.max(a, b);
}
