/** The companion's process: for people, cron and systemd. */
import { writeSync } from 'node:fs';
import { WalholdError } from '../base/errors.ts';
import { endAs, type Ending } from './exit.ts';
import { runCompanion } from './run-companion.ts';
import { writeResult } from './write-result.ts';

const ENDINGS: readonly [Ending, Ending, Ending] = ['done', 'failed', 'usage'];

const stopped = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // Once: a second signal ends the process at once, as signals do.
  process.once(name, () => stopped.abort(new WalholdError('interrupted', `stopped by ${name}`)));
}

const status = await runCompanion({
  argv: process.argv.slice(2),
  environment: process.env,
  signal: stopped.signal,
  workingDirectory: process.cwd(),
  print: writeResult,
  write: writeLine,
});
endAs(ENDINGS[status]);

/** A log that cannot be written must not decide how the call ends. */
function writeLine(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // Nobody is there to be told.
  }
}
