/** The companion's process: for people, cron and systemd. */
import { writeSync } from 'node:fs';
import { WalholdError } from '../base/errors.ts';
import { runCompanion } from './run-companion.ts';

// Whatever ends the process before the call has decided (a promise that never settles, a failed import) is a failure.
let status = 1;
process.on('exit', () => {
  process.exitCode = status;
});

const stopped = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // Once: a second signal ends the process at once, as signals do.
  process.once(name, () => stopped.abort(new WalholdError('interrupted', `stopped by ${name}`)));
}

status = await runCompanion({
  argv: process.argv.slice(2),
  environment: process.env,
  signal: stopped.signal,
  print: (text) => void process.stdout.write(text),
  write: (line) => void writeSync(2, line),
});
