import type { Clock } from '../../base/clock.ts';
import { formatBytes } from '../format-bytes.ts';

/** Where progress goes: stderr, as a rule. */
export interface ProgressOutput {
  write: (text: string) => void;
  /** One line is written over and over; elsewhere each is a new one. */
  isTerminal: boolean;
}

export interface ProgressSource {
  /** Plain bytes so far. */
  bytes: () => number;
  totalBytes: number;
}

const EACH_MS = 1_000;
/** In a log file a line a second would be noise. */
const EACH_LINE_MS = 10_000;
const CLEAR_LINE = '\r\u001b[K';

/** Shows how far the copying is until `done` aborts, and once at the end. */
export async function showProgress(
  source: ProgressSource,
  output: ProgressOutput & { format: 'text' | 'json' },
  options: { clock: Clock; done: AbortSignal },
): Promise<void> {
  const describe = output.format === 'json' ? jsonLine : textLine;
  const line = (seconds: number): string => describe(source, seconds);
  await repeatLine(line, { ...output, eachMs: output.format === 'json' ? EACH_MS : undefined }, options);
}

export interface LineOutput extends ProgressOutput {
  /** A new line so often, even on a terminal; `undefined`: one line over and over there, one now and then elsewhere. */
  eachMs?: number | undefined;
}

/** Writes the line until `done` aborts, and once at the end. `line` is told how many seconds have passed. */
export async function repeatLine(
  line: (seconds: number) => string,
  output: LineOutput,
  { clock, done }: { clock: Clock; done: AbortSignal },
): Promise<void> {
  const begun = clock.now();
  const overwritten = output.isTerminal && output.eachMs === undefined;
  const eachMs = output.eachMs ?? (overwritten ? EACH_MS : EACH_LINE_MS);
  for (;;) {
    const over = await clock.sleep(eachMs, done).then(
      () => false,
      () => true,
    );
    const text = line((clock.now() - begun) / 1000);
    output.write(overwritten ? `${CLEAR_LINE}${text}` : `${text}\n`);
    if (over) break;
  }
  if (overwritten) output.write('\n');
}

function textLine({ bytes, totalBytes }: ProgressSource, seconds: number): string {
  const done = Math.min(bytes(), totalBytes);
  const rate = seconds > 0 ? `, ${formatBytes(done / seconds)}/s` : '';
  return `walhold: ${formatBytes(done)} of ${formatBytes(totalBytes)} (${percentOf(done, totalBytes)}%)${rate}`;
}

function jsonLine({ bytes, totalBytes }: ProgressSource, seconds: number): string {
  const done = Math.min(bytes(), totalBytes);
  const bytesPerSecond = seconds > 0 ? Math.round(done / seconds) : 0;
  const percent = percentOf(done, totalBytes);
  return JSON.stringify({
    event: 'progress',
    bytes: done,
    totalBytes,
    percent,
    bytesPerSecond,
    elapsedSeconds: seconds,
  });
}

function percentOf(done: number, total: number): number {
  return total === 0 ? 100 : Math.floor((done / total) * 100);
}
