import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { formatTargetTime, type TargetTime } from '../postgres/target-time.ts';
import type { TimelineId } from '../postgres/timeline.ts';

/** Where recovery shall stop. `end`: at the end of the WAL. */
export type RecoveryTarget =
  | { readonly kind: 'time'; readonly time: TargetTime }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  | { readonly kind: 'xid'; readonly xid: string }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'immediate' }
  | { readonly kind: 'end' };

/** Which timeline recovery follows. `newest`: of those that descend from the backup's, the newest of which something is stored. */
export type TimelineWish =
  | { readonly kind: 'newest' }
  | { readonly kind: 'current' }
  | { readonly kind: 'number'; readonly timeline: TimelineId };

/** For messages: `2026-11-22 17:45:00.000000+01:00`, `LSN 0/3000060`, … */
export function describeTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'time':
      return formatTargetTime(target.time);
    case 'lsn':
      return `LSN ${formatLsn(target.lsn)}`;
    case 'xid':
      return `transaction ${target.xid}`;
    case 'name':
      return `the restore point "${target.name}"`;
    case 'immediate':
      return 'the end of the backup';
    case 'end':
      return 'the end of the WAL';
  }
}
