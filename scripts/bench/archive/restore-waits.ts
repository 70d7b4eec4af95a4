/** What a server's log tells of its recovery; times in seconds of the epoch. */
export interface Recovery {
  /** When the last record was applied. */
  doneAt: number;
  /** The LSN of that record, as PostgreSQL writes it. */
  doneLsn: string;
  /** Seconds from the start of a restore_command to its end, all calls up to {@link doneAt} added up. */
  waited: number;
  calls: number;
}

const LINE = /^(\d+\.\d{3}) \[(\d+)\] (\w+): {2}(.*)$/;

/**
 * Reads the recovery out of a log with `log_line_prefix = '%n [%p] '` and `log_min_messages = debug3`, where the startup process
 * announces each call of restore_command before it waits, and says afterwards what came of it (xlogarchive.c, RestoreArchivedFile).
 * The times are whole milliseconds, cut off at both ends alike.
 *
 * @returns `undefined` while the last record has not been applied.
 */
export function recoveryOf(log: string): Recovery | undefined {
  let waited = 0;
  let calls = 0;
  let asked: number | undefined;
  for (const line of log.split('\n')) {
    const [, time, , , message = ''] = LINE.exec(line) ?? [];
    if (time === undefined) continue;
    const at = Number(time);
    if (message.startsWith('executing restore command')) asked = at;
    else if (/^(restored log file|could not restore file) /.test(message) && asked !== undefined) {
      waited += at - asked;
      calls += 1;
      asked = undefined;
    }
    const doneLsn = /^redo done at ([0-9A-F]+\/[0-9A-F]+)/.exec(message)?.[1];
    if (doneLsn !== undefined) return { doneAt: at, doneLsn, waited, calls };
  }
  return undefined;
}
