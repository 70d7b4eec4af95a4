/**
 * The one place where the process ends and numbers are assigned. The launchers in `bin/` translate these numbers, which no
 * accident produces, into the statuses of the contract; every other number, Node's own 0 included, is a failure to them.
 */

/** How a call can end. */
export type Ending = 'stored' | 'fetched' | 'absent' | 'done' | 'failed' | 'usage' | 'stopped' | 'unread';

/**
 * `sh` gives a child killed by signal n as 128 + n: these are real-time signals, which nobody else sends. The status is for where the
 * signal does not work.
 */
const NUMBERS: Readonly<Record<Ending, { status: number; signal: number }>> = {
  stored: { status: 64, signal: 50 },
  fetched: { status: 65, signal: 51 },
  absent: { status: 66, signal: 52 },
  usage: { status: 67, signal: 53 },
  failed: { status: 68, signal: 54 },
  stopped: { status: 69, signal: 55 },
  done: { status: 70, signal: 56 },
  unread: { status: 71, signal: 57 },
};

let decided: Ending = 'failed';
const launcher = process.ppid;

// Whatever ends the process before it has decided (a promise that never settles, an error nobody caught) is a failure.
process.on('exit', () => {
  // Without a launcher the number reaches whoever adopted this process; a postmaster in a container takes any but 0 and 1 for a crash.
  process.exitCode = process.ppid === launcher ? NUMBERS[decided].status : 1;
});

/**
 * Ends the process, now, whatever is under way.
 *
 * By a signal to itself: `process.exit` joins Node's threads first, and can wait for ever: for one in a system call on a dead network
 * mount or without a name server, and (seen with Node 24, once in some hundred calls) for a compiling thread of V8 that waits for a
 * garbage collection by the very thread that joins it. A push that hangs stops the archiver.
 */
export function endAs(ending: Ending): never {
  decided = ending;
  if (process.ppid === launcher) process.kill(process.pid, NUMBERS[ending].signal);
  process.exit();
}
