/**
 * Label and control file of a backup that was begun in one session of the server and ended in another. The WAL has no end-of-backup
 * record for the first session's start, and a server that waits for one never becomes consistent. So such a backup is told to
 * recovery the way a standby's is, and pg_rewind's target: replay begins where the label says, and consistency comes at
 * `minRecoveryPoint` (read_backup_label and CheckRecoveryConsistency, access/transam/xlogrecovery.c; xlog.c before 15).
 */
import { WalholdError } from '../base/errors.ts';
import { crc32c } from '@node-rs/crc32';
import { CLUSTER_STATES, CONTROL_CRC_AT } from './control-file.ts';
import { formatLsn, type Lsn } from './lsn.ts';
import type { TimelineId } from './timeline.ts';

export interface FirstStart {
  startLsn: Lsn;
  /** The segment that `startLsn` lies in, 24 digits. */
  startSegment: string;
  checkpointLsn: Lsn;
}

/** The label that the last session gave, with the first one's start. Throws `server` for one without the lines that it must have. */
export function resumedLabel(label: Buffer, { startLsn, startSegment, checkpointLsn }: FirstStart): Buffer {
  const lines: readonly (readonly [name: string, value: string])[] = [
    ['START WAL LOCATION', `${formatLsn(startLsn)} (file ${startSegment})`],
    ['CHECKPOINT LOCATION', formatLsn(checkpointLsn)],
    ['BACKUP FROM', 'standby'],
  ];
  // Its text may be in any encoding.
  let text = label.toString('latin1');
  for (const [name, value] of lines) {
    const line = new RegExp(`^${name}: .*$`, 'm');
    if (!line.test(text)) throw new WalholdError('server', `the server's backup label has no line ${name}`);
    text = text.replace(line, `${name}: ${value}`);
  }
  return Buffer.from(text, 'latin1');
}

const STATE_AT = 16;
/** minRecoveryPoint, its timeline, backupStartPoint, backupEndPoint, backupEndRequired: one after another (ControlFileData). */
const MIN_RECOVERY_AT = 136;
const AFTER_RECOVERY_AT = 169;

/** A primary's `pg_control`, of a known format, as a standby's that has replayed up to `end`. */
export function replayedControl(control: Buffer, end: { lsn: Lsn; timeline: TimelineId }): Buffer {
  const crcAt = CONTROL_CRC_AT.get(control.readUInt32LE(8));
  if (crcAt === undefined) throw new WalholdError('unsupported', 'pg_control has a format that is not known here');
  const copy = Buffer.from(control);
  copy.writeUInt32LE(CLUSTER_STATES.indexOf('in archive recovery'), STATE_AT);
  copy.fill(0, MIN_RECOVERY_AT, AFTER_RECOVERY_AT);
  copy.writeBigUInt64LE(end.lsn, MIN_RECOVERY_AT);
  copy.writeUInt32LE(end.timeline, MIN_RECOVERY_AT + 8);
  copy.writeUInt32LE(crc32c(copy.subarray(0, crcAt)), crcAt);
  return copy;
}
