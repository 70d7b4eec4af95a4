/**
 * Runs a server, and outlives whoever wanted it: a shell that holds the other end of a pipe. When that end closes, by intent or because
 * its holder died of whatever (SIGKILL included), the server is ended and its directory removed. It is in a session of its own, where no
 * signal to the terminal or the group of its holder reaches it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WalholdError } from '../base/errors.ts';
import { quoteShellWord } from '../postgres/shell-quote.ts';

export interface Account {
  uid: number;
  gid: number;
}

export interface KeeperInput {
  /** Absolute, and the account's: goes away with all that lies in it. */
  scratch: string;
  /** Another directory that goes away, or the same. */
  sockets: string;
  /** Only root may name one; `undefined`: whoever runs this. */
  account: Account | undefined;
  environment: Readonly<Record<string, string | undefined>>;
}

/** Where `rm`, `mv`, `cat`, `ls` and `sleep` are. */
export const BASIC_PATH = '/usr/bin:/bin';

/**
 * Words on its stdin: `start` the server (the rest of the arguments, once), `fast` shuts it down, `keep` the directory. PostgreSQL takes
 * SIGINT for a fast shutdown and SIGQUIT for an immediate one; it sets up its signals itself, so that those ignored here are not its.
 * What `rm` meets while a last process of the server's still writes, it meets again a second later.
 */
const SCRIPT = `
scratch=$1; sockets=$2; shift 2
trap '' INT TERM HUP PIPE
umask 077
cd "$scratch" 2>/dev/null && cd / || exit 3
started=; keep=
tell() {
  while [ ! -s "$scratch/server.pid" ] && [ -d "$scratch" ]; do sleep 1; done
  [ -e "$scratch/server.exit" ] || kill "-$1" "$(cat "$scratch/server.pid")" 2>/dev/null
}
while read -r word; do
  case $word in
    start)
      [ -z "$started" ] || continue
      started=1
      read -r words
      eval "set -- $words"
      (
        "$@" >>"$scratch/server.log" 2>&1 </dev/null &
        echo $! >"$scratch/server.new" && mv "$scratch/server.new" "$scratch/server.pid"
        wait $!
        echo $? >"$scratch/server.new" && mv "$scratch/server.new" "$scratch/server.exit"
      ) &
      ;;
    fast) [ -z "$started" ] || tell INT ;;
    keep) keep=1 ;;
  esac
done
if [ -n "$started" ]; then
  tell QUIT
  wait
fi
rm -rf -- "$sockets"
[ -z "$keep" ] || exit 0
left=30
until rm -rf -- "$scratch" 2>/dev/null; do
  [ -n "$(ls -A "$scratch" 2>/dev/null)" ] && [ $left -gt 0 ] || exit 0
  left=$((left - 1))
  sleep 1
done
`;

/** Whatever the caller's `PATH` is, the shell finds what its script calls. */
function withBasics(path: string | undefined): string {
  return path === undefined || path === '' ? BASIC_PATH : `${path}:${BASIC_PATH}`;
}

export class Keeper {
  readonly #child: ChildProcess;
  readonly #scratch: string;
  readonly #gone: Promise<void>;
  #status: number | string | undefined;

  constructor({ scratch, sockets, account, environment }: KeeperInput) {
    this.#scratch = scratch;
    this.#child = spawn('/bin/sh', ['-c', SCRIPT, 'walhold-drill', scratch, sockets], {
      ...account,
      cwd: '/',
      env: { ...environment, PATH: withBasics(environment['PATH']) },
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    // Its end is what counts, and is awaited.
    this.#child.stdin?.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      const end = (status: number | string): void => {
        this.#status = status;
        resolve();
      };
      this.#child.once('error', (error) => end(error.message));
      this.#child.once('exit', (status, signal) => end(status ?? signal ?? 'unknown'));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Starts the server: words without a line break. */
  start(argv: readonly string[]): void {
    this.#say(`start\n${argv.map(quoteShellWord).join(' ')}`);
  }

  /** Tells the server to shut down, its pages written. */
  shutDown(): void {
    this.#say('fast');
  }

  /** How the server has ended; `undefined`: it has not. Throws `server` when the keeper itself is gone. */
  get serverStatus(): number | undefined {
    const path = join(this.#scratch, 'server.exit');
    if (existsSync(path)) return Number(readFileSync(path, 'latin1'));
    if (this.#status === undefined) return undefined;
    throw this.#failure();
  }

  /** Ends the server at once if it runs, and removes the directory unless it is kept. Resolves when that is done. */
  async end(options: { keep: boolean }): Promise<void> {
    if (options.keep && this.#status === undefined) this.#say('keep');
    this.#child.stdin?.end();
    await this.#gone;
  }

  #say(words: string): void {
    if (this.#status !== undefined) throw this.#failure();
    this.#child.stdin?.write(`${words}\n`);
  }

  #failure(): WalholdError {
    const cannotEnter = this.#status === 3;
    return new WalholdError('server', `could not run a server in ${this.#scratch}`, {
      detail: cannotEnter
        ? "the server's account cannot enter that directory"
        : `the shell that runs it ended with ${String(this.#status)}`,
      hint: cannotEnter
        ? 'Name with --scratch-dir a directory that this account can reach.'
        : 'Run it again; the next run clears away what is left.',
    });
  }
}
