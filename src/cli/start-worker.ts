import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { SERVICE_DIRECTORY } from '../spool/service.ts';
import { systemCode } from '../base/errors.ts';
import { closeInherited } from './inherited-files.ts';
import { programFile } from './program-file.ts';

export const WORKER_LOG = 'worker.log';

/**
 * Where the postmaster is process 1, whatever outlives its caller becomes its child, and any status but 0 or 1 of it makes the server
 * take itself for damaged. So the worker runs below a shell that always ends with 0. The names stay out of the shell's command line:
 * whoever ends the worker by its name shall not meet the shell. What the shell itself has to say of a signal is nobody's concern
 * (in parentheses, since dash says it while its own stderr is the command's).
 */
const LINE =
  'trap : HUP INT QUIT TERM; exec 3>&2 2>/dev/null; (exec "$_NODE" $_FLAGS "$_WORKER" "$_DATA" 2>&3 3>&-); exit 0';

/**
 * The worker gives back what it does not need (see `release-memory.ts`), at once, not when some other thread comes to it. Hardly anything
 * of it lives for long.
 */
const FLAGS = '--expose-gc --single-threaded-gc --max-semi-space-size=1';

/**
 * For glibc's `malloc`, which else keeps what threads have freed for the threads to come: few arenas, and large buffers from the system
 * and back to it. Whoever sets these has a reason to.
 */
const ALLOCATION: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '262144',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** Starts the worker, apart from everything that belongs to this call: session, directory, channels, open files. */
export function startWorker(dataDirectory: string): void {
  const directory = join(dataDirectory, SERVICE_DIRECTORY);
  closeInherited();
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  const log = openSync(join(directory, WORKER_LOG), 'a', 0o600);
  const words = { _NODE: process.execPath, _FLAGS: FLAGS, _WORKER: programFile('worker'), _DATA: dataDirectory };
  const child = spawn('/bin/sh', ['-c', LINE], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...ALLOCATION, ...process.env, ...words },
  });
  child.on('error', () => undefined);
  child.unref();
  closeSync(log);
}
