import { formatLsn, type Lsn } from '../../postgres/lsn.ts';
import type { RecoveryTarget } from '../../repository/recovery-target.ts';
import { describeTarget } from '../../repository/recovery-target.ts';
import type { DrillCheck } from '../../repository/drill-record.ts';

export const RECOVERY_CHECK = 'recovery';

export interface RecoveredTo {
  target: RecoveryTarget;
  /** Where replay ended. */
  end: Lsn;
  /** Where the WAL that was to be replayed ends: the last record of the last segment; `undefined`: not known. */
  storedEnd: Lsn | undefined;
  /** The server's. */
  log: string;
}

/**
 * Whether a server that has recovered did so to where it should. With a target it says where it stopped, and without having met it a
 * server of 13 and later does not start. Without one a damaged record is the end of the WAL to it, so what is stored tells. Pure.
 */
export function judgeRecovery({ target, end, storedEnd, log }: RecoveredTo): DrillCheck {
  const name = RECOVERY_CHECK;
  const reached = `recovered to ${describeTarget(target)}, LSN ${formatLsn(end)}`;
  if (target.kind === 'end') {
    if (storedEnd !== undefined && end < storedEnd) {
      const detail = `replay ended at ${formatLsn(end)}, and the stored WAL goes on to ${formatLsn(storedEnd)}`;
      return { name, ok: false, detail };
    }
    return { name, ok: true, detail: reached };
  }
  const stopped = /\] LOG: +(recovery stopping [^\n]*)/.exec(log)?.[1];
  if (stopped !== undefined) return { name, ok: true, detail: `${reached}: ${stopped}` };
  return { name, ok: false, detail: `replay ended at ${formatLsn(end)} without the target` };
}
