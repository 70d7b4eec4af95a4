import { spawn } from 'node:child_process';
import { constants, existsSync } from 'node:fs';
import { access, chown, mkdir, mkdtemp, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { ioError, WalholdError } from '../../base/errors.ts';
import type { Account } from '../../server/keeper.ts';
import { Keeper } from '../../server/keeper.ts';
import { clearScratch, noteProcesses, PROCESSES, SCRATCH_PREFIX } from '../../server/left-scratch.ts';

export interface ScratchInput {
  /** Absolute. */
  parent: string;
  account: Account | undefined;
  environment: Readonly<Record<string, string | undefined>>;
  keep: boolean;
  clock: Clock;
  /** Of this process. */
  pid: number;
}

/** The kernel takes 107 bytes for a socket's path; its name is `/.s.PGSQL.5432`. */
const LONGEST_SOCKET_DIRECTORY = 107 - '/.s.PGSQL.5432'.length;

const TABLESPACES = 'tablespaces';

/** A new directory, 0700 and the account's, with a keeper that removes it when this process ends, however it ends. */
export class Scratch implements AsyncDisposable {
  readonly path: string;
  readonly sockets: string;
  readonly keeper: Keeper;
  readonly #input: ScratchInput;

  private constructor(path: string, sockets: string, input: ScratchInput) {
    this.path = path;
    this.sockets = sockets;
    this.#input = input;
    const { account } = input;
    this.keeper = new Keeper({ scratch: path, sockets, account, environment: serverEnvironment(input) });
  }

  static async make(input: ScratchInput): Promise<Scratch> {
    const { parent, account, pid } = input;
    if (/[\n\r]/.test(parent)) throw new WalholdError('usage', 'the scratch directory has a line break in its name');
    await requireReach(input);
    try {
      const path = await mkdtemp(join(parent, SCRATCH_PREFIX));
      if (account !== undefined) await chown(path, account.uid, account.gid);
      const scratch = new Scratch(path, await makeSockets(path, account), input);
      try {
        const { pid: keeper } = scratch.keeper;
        await noteProcesses(path, keeper === undefined ? [pid] : [pid, keeper], account);
        // The account of the server's, so that the restore gives it everything else too.
        await makeOwned(scratch.dataDirectory, account);
        await makeOwned(join(path, TABLESPACES), account);
        return scratch;
      } catch (error) {
        await scratch[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      throw ioError(`could not make a scratch directory in ${parent}`, error);
    }
  }

  get dataDirectory(): string {
    return join(this.path, 'data');
  }

  /** Where a tablespace goes. */
  tablespace(oid: string): string {
    return join(this.path, TABLESPACES, oid);
  }

  /** Ends the server if it still runs, and removes the directory unless it is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { keep, account, clock } = this.#input;
    await this.keeper.end({ keep });
    if (keep) await unlink(join(this.path, PROCESSES)).catch(() => undefined);
    // Somebody may have killed the keeper. What told the drill to stop shall not stop this.
    else if (existsSync(this.path))
      await clearScratch(this.path, { account, clock, signal: new AbortController().signal });
  }
}

/** Root may look into places that the server's account cannot even pass. */
async function requireReach({ parent, account }: ScratchInput): Promise<void> {
  if (account === undefined) return;
  const child = spawn('/bin/sh', ['-c', 'cd "$1"', 'sh', parent], { ...account, cwd: '/', stdio: 'ignore' });
  const status = await new Promise<unknown>((resolve) => {
    child.once('error', resolve);
    child.once('exit', resolve);
  });
  if (status === 0) return;
  throw new WalholdError('usage', `could not use ${parent} for a scratch directory`, {
    detail: `user ${account.uid}, under whom the server will run, cannot enter it`,
    hint: 'Name with --scratch-dir a directory that this account can reach.',
  });
}

async function makeSockets(scratch: string, account: Account | undefined): Promise<string> {
  const inside = join(scratch, 'sockets');
  if (Buffer.byteLength(inside) <= LONGEST_SOCKET_DIRECTORY) {
    await makeOwned(inside, account);
    return inside;
  }
  const outside = await mkdtemp(join('/tmp', SCRATCH_PREFIX));
  if (account !== undefined) await chown(outside, account.uid, account.gid);
  return outside;
}

async function makeOwned(path: string, account: Account | undefined): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  if (account !== undefined) await chown(path, account.uid, account.gid);
}

/** The server's: variables for PostgreSQL's clients would give it another port or directory, and root's home is not the account's. */
function serverEnvironment({ environment }: ScratchInput): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('PG')));
}

/** The home directory of an account, for what its programs look up there; `undefined`: it has none. */
export async function homeOf(account: Account): Promise<string | undefined> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  for (const line of passwd.split('\n')) {
    const [, , uid, , , home] = line.split(':');
    if (uid === String(account.uid) && home !== undefined && home !== '') return home;
  }
  return undefined;
}

/** Throws `usage` where nothing can be made. */
export async function requireParent(parent: string): Promise<void> {
  try {
    await access(parent, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new WalholdError('usage', `could not use ${parent} for a scratch directory`, {
      detail: error instanceof Error ? error.message : String(error),
      hint: 'Name with --scratch-dir a directory with room for the whole cluster.',
      cause: error,
    });
  }
}
