/** Logs (by number, both included) that are listed in one go, or in a row taken from a seal. */
export interface LogSpan {
  readonly sealed: boolean;
  readonly first: number;
  readonly last: number;
}

/** Rows that cost more requests to leave out than to list: so many logs of 16 MB segments share a page. */
const SHORTEST_ROW = 3;

/**
 * Which of the logs that are stored are listed, though a seal says that they are whole: those at either end of a row. What lies beside a
 * hole, or is the newest, is always looked at; so is a log of which somebody has begun to remove something. Pure.
 */
export function divideLogs(logs: readonly number[], isSealed: (log: number) => boolean): LogSpan[] {
  const sealed = new Set(logs.filter((log) => isSealed(log)));
  const inside = (log: number): boolean => sealed.has(log - 1) && sealed.has(log) && sealed.has(log + 1);
  const rows: { sealed: boolean; first: number; last: number }[] = [];
  for (const log of logs) {
    const open = rows.at(-1);
    if (open?.sealed === inside(log)) open.last = log;
    else rows.push({ sealed: inside(log), first: log, last: log });
  }
  return joined(rows.map((row) => (row.last - row.first + 1 < SHORTEST_ROW ? { ...row, sealed: false } : row)));
}

function joined(rows: readonly LogSpan[]): LogSpan[] {
  const spans: LogSpan[] = [];
  for (const row of rows) {
    const open = spans.at(-1);
    if (open !== undefined && !open.sealed && !row.sealed) spans[spans.length - 1] = { ...open, last: row.last };
    else spans.push(row);
  }
  return spans;
}
