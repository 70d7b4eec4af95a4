/** The process of the background worker: `worker DATADIR`. Started by calls, never by hand. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { textLog } from '../base/log.ts';
import { releaseAll } from '../base/release-memory.ts';
import { VERSION } from '../base/version.ts';
import { threadFile } from '../commands/thread-file.ts';
import { work } from '../commands/work.ts';
import { SERVICE_DIRECTORY } from '../spool/service.ts';
import { rotatingWriter } from '../worker/rotating-log.ts';
import { endAs } from './exit.ts';
import { isAlive } from './is-alive.ts';
import { WORKER_LOG } from './start-worker.ts';
import { stopSignal } from './stop-signals.ts';

const [dataDirectory = ''] = process.argv.slice(2);
const write = rotatingWriter(join(dataDirectory, SERVICE_DIRECTORY, WORKER_LOG));
const log = textLog('walhold-worker', 'info', (line) => write(`${new Date().toISOString()} [${process.pid}] ${line}`));

await work({
  dataDirectory,
  pid: process.pid,
  environment: process.env,
  isAlive,
  releaseMemory: releaseAll,
  makeThread: (name, input) => new Worker(threadFile(name), { workerData: input }),
  log,
  clock: systemClock,
  random: Math.random,
  signal: stopSignal(),
  by: `walhold ${VERSION} on ${hostname()}`,
});
endAs('done');
