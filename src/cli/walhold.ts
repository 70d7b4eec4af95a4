/** The companion's process: for people, cron and systemd. */
import { writeSync } from 'node:fs';
import { endAs, type Ending } from './exit.ts';
import { runCompanion } from './run-companion.ts';
import { stopSignal } from './stop-signals.ts';
import { writeResult } from './write-result.ts';

const ENDINGS = { 0: 'done', 1: 'failed', 2: 'usage', 141: 'unread' } as const satisfies Record<number, Ending>;

/** Whatever progress stands on the terminal's line goes; it comes again in a moment. */
const CLEAR_LINE = process.stderr.isTTY ? '\r\u001b[K' : '';

const status = await runCompanion({
  argv: process.argv.slice(2),
  environment: process.env,
  signal: stopSignal(),
  workingDirectory: process.cwd(),
  print: writeResult,
  write: writeLine,
});
endAs(ENDINGS[status]);

/** A log that cannot be written must not decide how the call ends. */
function writeLine(line: string): void {
  try {
    writeSync(2, CLEAR_LINE + line);
  } catch {
    // Nobody is there to be told.
  }
}
