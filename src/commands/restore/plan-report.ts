/** A plan, or why there is none, as text and as JSON. */
import { formatLsn } from '../../postgres/lsn.ts';
import { formatIso } from '../../postgres/timestamp.ts';
import type { BackupSummary, StoredBackup } from '../../repository/backups.ts';
import { lengthUpTo } from '../../repository/recovery-path.ts';
import { describeTarget } from '../../repository/recovery-target.ts';
import { describePoint, nameOf, type PlannedBackup, type Point } from '../../repository/restore-way.ts';
import type { NoPlan, PlanRequest, RestorePlan } from '../../repository/restore-plan.ts';
import { walOf, type WalInventory } from '../../repository/wal-inventory.ts';
import { formatBytes } from '../format-bytes.ts';
import type { EstimateJson } from './estimate.ts';

export interface RestorableBackup extends PlannedBackup {
  readonly summary: BackupSummary;
  readonly repositories: readonly number[];
  /** What it stands on and itself last; of a full backup itself alone. Empty where `broken` says why. */
  readonly chain: readonly StoredBackup[];
}

/**
 * The shape of `walhold restore --dry-run --json`. `chain`: the full backup first. `bytes`: what is written, WAL not counted; of a chain
 * at most, since its files are joined.
 */
export interface PlanJson {
  reachable: boolean;
  backup: string | null;
  chain: string[];
  timelines: number[];
  walFrom: string | null;
  walTo: string | null;
  bytes: number | null;
  nearest: { before: PointJson | null; after: PointJson | null } | null;
  /** `null`: no drill tells. */
  estimate: EstimateJson | null;
  /** The segments that keep the target from being reached, where it is they; `last` is `null` where the WAL just ends. */
  missing?: MissingJson | null;
  /** Why the target cannot be reached. */
  reason?: string;
  remarks?: string[];
}

export interface PointJson {
  time: string | null;
  lsn: string | null;
}

export interface MissingJson {
  first: string;
  last: string | null;
}

export function planJson(
  plan: RestorePlan<RestorableBackup> | NoPlan,
  inventory: WalInventory,
  estimate: EstimateJson | null,
): PlanJson {
  if (!plan.reachable) {
    const nearest = { before: pointJson(plan.before), after: pointJson(plan.after) };
    const nothing = { backup: null, chain: [], timelines: [], walFrom: null, walTo: null, bytes: null };
    return {
      reachable: false,
      ...nothing,
      nearest,
      estimate: null,
      missing: missingJson(plan, inventory),
      reason: plan.why,
    };
  }
  return {
    reachable: true,
    backup: plan.backup.id,
    chain: plan.backup.chain.map(({ summary }) => summary.id),
    timelines: [...plan.timelines],
    walFrom: nameOf(plan.walFrom, inventory),
    walTo: nameOf(plan.walTo, inventory),
    bytes: bytesOf(plan.backup, 'sizeBytes'),
    nearest: null,
    estimate,
    remarks: plan.remarks.map(({ text }) => text),
  };
}

/** One line each, for people. */
export function planLines(
  plan: RestorePlan<RestorableBackup>,
  request: Pick<PlanRequest, 'target' | 'backup' | 'timeline'>,
  inventory: WalInventory,
): string[] {
  const { summary } = plan.backup;
  const stored = bytesOf(plan.backup, 'storedBytes');
  const size = `${formatBytes(bytesOf(plan.backup, 'sizeBytes'))}, ${formatBytes(stored)} stored`;
  const count = lengthUpTo(plan.legs, plan.walTo.segno);
  const wal = formatBytes(walBytes(plan, inventory));
  return [
    `target: ${describeTarget(request.target)}`,
    `backup: ${summary.id}, ${whyBackup(request)}, from ${summary.startedAt} to ${summary.stoppedAt} (PostgreSQL ${summary.server.version}; ${size})`,
    ...chainLines(plan.backup),
    `timelines: ${plan.timelines.join(' > ')}, ${whyTimeline(request)}`,
    `WAL: ${nameOf(plan.walFrom, inventory)} to ${nameOf(plan.walTo, inventory)} (${count} segments, ${wal} stored)`,
  ];
}

function chainLines({ chain }: RestorableBackup): string[] {
  return chain.length < 2 ? [] : [`chain: ${chain.map(({ summary }) => summary.id).join(' > ')}`];
}

/** Of all backups of the chain together. */
export function bytesOf({ chain }: RestorableBackup, which: 'sizeBytes' | 'storedBytes'): number {
  return chain.reduce((sum, { summary }) => sum + summary[which], 0);
}

function whyBackup({ target, backup }: Pick<PlanRequest, 'target' | 'backup'>): string {
  if (backup !== 'any') return 'as told';
  return target.kind === 'time' || target.kind === 'lsn'
    ? 'the newest from which the target can be reached'
    : 'the newest that can be used';
}

function whyTimeline({ timeline }: Pick<PlanRequest, 'timeline'>): string {
  switch (timeline.kind) {
    case 'newest':
      return 'the newest that descends from the backup and holds WAL';
    case 'current':
      return "the backup's own";
    case 'number':
      return 'as told';
  }
}

/** Stored bytes of the WAL that recovery reads. */
export function walBytes({ legs, walTo }: RestorePlan<RestorableBackup>, inventory: WalInventory): number {
  return legs.reduce((sum, { timeline, first, last }) => {
    const end = last !== undefined && last < walTo.segno ? last : walTo.segno;
    return sum + walOf(inventory, timeline).segments.bytesBetween(first, end);
  }, 0);
}

/** `the nearest that can be reached: 2026-… (LSN …) before it, 2026-… after it`. */
export function nearestText({ before, after }: NoPlan): string | undefined {
  const parts = [
    before === undefined ? undefined : `${describePoint(before)} before it`,
    after === undefined ? undefined : `${describePoint(after)} after it`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : `The nearest that can be reached: ${parts.join(', ')}.`;
}

function missingJson({ missing }: NoPlan, inventory: WalInventory): MissingJson | null {
  if (missing === undefined) return null;
  const { first, last } = missing;
  return { first: nameOf(first, inventory), last: last === undefined ? null : nameOf(last, inventory) };
}

function pointJson(point: Point | undefined): PointJson | null {
  if (point === undefined) return null;
  return {
    time: point.micros === undefined ? null : (formatIso(point.micros) ?? null),
    lsn: point.lsn === undefined ? null : formatLsn(point.lsn),
  };
}
