import { formatBytes } from '../format-bytes.ts';
import type { ProgressSnapshot, ProgressView } from './progress.ts';

/** Where progress goes: stderr, as a rule. */
export interface ProgressOutput {
  write: (text: string) => void;
  /** `terminal` is one line, written over and over; `lines` come now and then; `json` is for programs. */
  format: 'terminal' | 'lines' | 'json';
}

/** Lines stay, in a log as a rule: no more of them than somebody reads. */
const A_LINE_EACH_MS = 10_000;

const CLEAR_LINE = '\r\u001b[K';

/** `undefined`: nobody wants to see it. */
export function viewsOf(output: ProgressOutput | undefined): ProgressView[] {
  if (output === undefined) return [];
  const views = { terminal: terminalView, lines: linesView, json: jsonView };
  return [views[output.format](output)];
}

/** One JSON document a line. */
function jsonView({ write }: ProgressOutput): ProgressView {
  return ({ more: _more, ...snapshot }) => write(`${JSON.stringify(snapshot)}\n`);
}

/** Each phase leaves its last line. */
function terminalView({ write }: ProgressOutput): ProgressView {
  let phase: string | undefined;
  return (snapshot, moment) => {
    const next = phase !== undefined && phase !== snapshot.phase ? '\n' : '';
    phase = snapshot.phase;
    write(`${next}${CLEAR_LINE}walhold: ${describeMeasure(snapshot)}${moment === 'end' ? '\n' : ''}`);
  };
}

/** Each phase says where it stands at its end, and meanwhile every few seconds. */
function linesView({ write }: ProgressOutput): ProgressView {
  let phase: string | undefined;
  let saidAt = 0;
  return (snapshot, moment) => {
    const now = Date.parse(snapshot.at);
    const isNew = phase !== snapshot.phase;
    phase = snapshot.phase;
    if (isNew) saidAt = now;
    if (isNew || (moment === 'tick' && now - saidAt < A_LINE_EACH_MS)) return;
    saidAt = now;
    write(`walhold: ${describeMeasure(snapshot)}\n`);
  };
}

/** `copying: 1.2 GB of 5 GB (24%), 120 MB/s, 0:31 left`. */
export function describeMeasure({
  phase,
  bytesDone,
  bytesTotal,
  rate,
  secondsLeft,
  more,
}: Omit<ProgressSnapshot, 'at'>): string {
  const parts: string[] = [];
  const done = formatBytes(bytesDone);
  if (bytesTotal !== null) parts.push(`${done} of ${formatBytes(bytesTotal)} (${percentOf(bytesDone, bytesTotal)}%)`);
  else if (bytesDone > 0) parts.push(done);
  if (rate !== null && parts.length > 0) parts.push(`${formatBytes(rate)}/s`);
  if (secondsLeft !== null && bytesDone !== bytesTotal) parts.push(`${clockTime(secondsLeft)} left`);
  if (more !== undefined && more !== '') parts.push(more);
  return `${phase}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
}

function percentOf(done: number, total: number): number {
  return total === 0 ? 100 : Math.floor((done / total) * 100);
}

/** `0:31`, `1:02:03`. */
function clockTime(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours === 0 ? `${minutes}:${two(seconds % 60)}` : `${hours}:${two(minutes)}:${two(seconds % 60)}`;
}
