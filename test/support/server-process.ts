import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { asAccount, type Account } from '../../scripts/server-user.ts';
import { descendants, isAlive, signalAll } from './process-tree.ts';
import { waitFor } from './wait-for.ts';

/** How a postmaster ended. */
export interface Ending {
  status: number | null;
  signal: NodeJS.Signals | null;
}

// The shell becomes the postmaster. A watcher beside it holds the pipe from this process: should this process die, however
// it dies, the read fails and the server is stopped. The watcher is started twice removed, so that it is not the
// postmaster's child: one that ends with a status of its own would look to it like a crashed backend.
const UNDER_WATCH = `
exec 3<&0 4>/dev/null
( ( read -r _ <&3 || kill -QUIT $$ ) >&4 2>&4 & )
exec "$@" </dev/null 3<&- 4>&-`;

const OBEYS_WITHIN_MS = 3000;

/** One running postmaster. It does not outlive this process. */
export class ServerProcess {
  readonly pid: number;
  /** Settles when the postmaster has ended. */
  readonly ended: Promise<Ending>;
  #ending: Ending | undefined;
  readonly #child: ChildProcess;

  constructor(account: Account, argv: readonly string[], env: Record<string, string>, logFile: string) {
    const log = openSync(logFile, 'a');
    this.#child = spawn('/bin/sh', ['-c', UNDER_WATCH, 'sh', ...argv], {
      ...asAccount(account),
      cwd: '/',
      env,
      detached: true,
      stdio: ['pipe', log, log],
    });
    closeSync(log);
    if (this.#child.pid === undefined) throw new Error(`could not start ${argv.join(' ')}`);
    this.pid = this.#child.pid;
    this.#child.stdin?.on('error', () => {}); // the watcher may be gone already
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (status, signal) => {
        this.#ending = { status, signal };
        this.#child.stdin?.end('over\n'); // the watcher has nothing to stop any more
        resolve(this.#ending);
      });
    });
  }

  /** How it ended, or `undefined` while it runs. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#ending === undefined) signalAll([this.pid], signal);
  }

  /**
   * Kills the server as a crash would, and waits for its backends to be gone. `everything` takes the commands that they run
   * along, like a power cut; `postmaster` kills that one alone: its children then end by themselves, except for those that
   * wait for a command (the archiver), which goes on and keeps the data directory in use until it is done.
   */
  async crash(what: 'everything' | 'postmaster'): Promise<void> {
    const below = descendants(this.pid);
    const waitedFor = what === 'everything' ? below : below.filter((pid) => descendants(pid).length === 0);
    signalAll([this.pid, ...(what === 'everything' ? below : [])], 'SIGKILL');
    await this.ended;
    await waitFor(() => !waitedFor.some(isAlive), { what: 'the backends to be gone', deadlineMs: 20_000 });
  }

  /**
   * An immediate shutdown, by which the shared memory goes back to the system: what is killed leaves it behind, and a system has some
   * thousand pieces of it. A server that does not obey is killed.
   */
  async end(): Promise<void> {
    this.signal('SIGQUIT');
    await Promise.race([this.ended, delay(OBEYS_WITHIN_MS, undefined, { ref: false })]);
    if (this.#ending === undefined) await this.crash('everything');
  }

  /** For the end of the program, when nothing can be waited for. */
  killNow(): void {
    if (this.#ending === undefined) signalAll([this.pid, ...descendants(this.pid)], 'SIGKILL');
  }
}
