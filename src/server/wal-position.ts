import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { isTimelineId, timelineId, type TimelineId } from '../postgres/timeline.ts';
import { WalholdError } from '../base/errors.ts';
import type { ControlFile } from '../postgres/control-file.ts';
import type { ServerSession } from './session.ts';

/** Where a server is in its WAL. */
export interface WalPosition {
  systemId: bigint;
  segmentBytes: number;
  timeline: TimelineId;
  /** Everything before it is written (a standby: received or replayed). */
  written: Lsn;
  inRecovery: boolean;
}

/** Asks the server. Throws `server`. */
export async function askWalPosition(session: ServerSession): Promise<WalPosition> {
  const row = await session.row(
    'ask where its WAL is',
    `select pg_is_in_recovery() as "inRecovery",
            (select system_identifier::text from pg_control_system()) as "systemId",
            (select setting::bigint::text from pg_settings where name = 'wal_segment_size') as "segmentBytes",
            case when pg_is_in_recovery()
                 then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text
                 else pg_current_wal_lsn()::text end as written,
            case when pg_is_in_recovery()
                 then greatest((select timeline_id from pg_control_checkpoint()),
                               (select min_recovery_end_timeline from pg_control_recovery()),
                               (select max(received_tli) from pg_stat_wal_receiver))
                 else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline`,
  );
  const written = parseLsn(typeof row['written'] === 'string' ? row['written'] : '');
  // A bit(32) above 2^31 comes as a negative number.
  const timeline = Number(row['timeline']) >>> 0;
  if (written === undefined || !isTimelineId(timeline)) {
    throw new WalholdError('server', `could not tell where the WAL of ${session.where} is`, {
      hint: 'A standby that has not replayed anything yet cannot say; try again later.',
    });
  }
  return {
    systemId: BigInt(String(row['systemId'])),
    segmentBytes: Number(row['segmentBytes']),
    timeline: timelineId(timeline),
    written,
    inRecovery: row['inRecovery'] === true,
  };
}

/**
 * What `pg_control` alone tells: all before its checkpoint is written, more may be. Right after a promotion the recovery point names
 * the new timeline, before the first checkpoint does.
 */
export function positionOfControl(control: ControlFile): WalPosition {
  const { checkpoint, minRecoveryPoint, checkpointTimeline, minRecoveryPointTimeline } = control;
  const timeline = Math.max(checkpointTimeline, minRecoveryPointTimeline);
  if (!isTimelineId(timeline)) throw new WalholdError('bad-format', 'pg_control names no timeline');
  return {
    systemId: control.systemId,
    segmentBytes: control.segmentBytes,
    timeline,
    written: minRecoveryPoint > checkpoint ? minRecoveryPoint : checkpoint,
    inRecovery: ['shut down in recovery', 'in archive recovery'].includes(control.state),
  };
}
