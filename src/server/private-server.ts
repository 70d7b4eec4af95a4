/** A server on restored files that nobody else can reach: no port, a socket in a directory of its own, nothing of the cluster's settings. */
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { ioError, WalholdError } from '../base/errors.ts';
import { SILENT } from '../base/log.ts';
import type { Account, Keeper } from './keeper.ts';
import { PRIVATE_HBA, privateConf, recoverySettings, type ReplayedSettings } from './private-settings.ts';
import { ServerSession } from './session.ts';

export interface PrivateServerInput {
  keeper: Keeper;
  /** Absolute; holds the data directory and takes the server's files. */
  scratch: string;
  dataDirectory: string;
  /** Absolute, 0700, short enough for a socket. */
  sockets: string;
  account: Account | undefined;
  /** The folder of its programs. */
  programs: string;
  major: number;
  recorded: ReplayedSettings;
  preload: string;
  /** Superusers to try, in this order. */
  users: readonly string[];
  clock: Clock;
  signal: AbortSignal;
}

/** Who asks, and what: the first superuser and database that the server knows. */
export interface Entrance {
  user: string;
  database: string;
}

const PORT = 5432;
const LOOK_EVERY_MS = 50;
/** A shutdown writes everything that replay has changed. */
const MOST_STOP_MS = 3600 * 1000;
const CONNECT_MS = 30_000;
const MOST_LOG_BYTES = 64 * 1024 * 1024;
const LOG_NAME = 'server.log';
/** A database dropped by its owner, or a role that is not there. */
const UNKNOWN_ENTRANCE: ReadonlySet<unknown> = new Set(['28000', '3D000']);

/** Settings of databases and roles must not load anything into sessions, either. */
export const SESSION_OPTIONS = '-c session_preload_libraries= -c local_preload_libraries=';

export class PrivateServer {
  readonly #input: PrivateServerInput;

  constructor(input: PrivateServerInput) {
    this.#input = input;
  }

  get sockets(): string {
    return this.#input.sockets;
  }

  /** Writes its configuration and starts it. */
  async start(): Promise<void> {
    const { scratch, dataDirectory, sockets, major, recorded, preload, keeper, programs } = this.#input;
    const autoConf = join(dataDirectory, 'postgresql.auto.conf');
    const recovery = recoverySettings(await readFile(autoConf, 'utf8'));
    const [configFile, hbaFile, identFile] = ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf'].map((name) =>
      join(scratch, name),
    ) as [string, string, string];
    const conf = privateConf({ major, recorded, socketDirectory: sockets, hbaFile, identFile, preload, recovery });
    await this.#write(configFile, conf);
    await this.#write(hbaFile, PRIVATE_HBA);
    await this.#write(identFile, '');
    // The server reads it whatever its configuration file is, and it has what ALTER SYSTEM ever set.
    await this.#write(autoConf, '');
    keeper.start([join(programs, 'postgres'), '-D', dataDirectory, '-c', `config_file=${configFile}`]);
  }

  /** Waits until it has recovered and takes questions. `undefined`: it has ended instead; its log says why. */
  async entrance(): Promise<Entrance | undefined> {
    const { users, keeper, clock, signal } = this.#input;
    const entrances = ['postgres', 'template1'].flatMap((database) => users.map((user) => ({ user, database })));
    let at = 0;
    for (;;) {
      signal.throwIfAborted();
      if (keeper.serverStatus !== undefined) return undefined;
      const entrance = entrances[at];
      if (entrance === undefined) throw unknownUser(users);
      const refusal = await this.#refusal(entrance);
      if (refusal === undefined) return entrance;
      if (UNKNOWN_ENTRANCE.has(refusal)) at += 1;
      else await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  async connect({ user, database }: Entrance): Promise<ServerSession> {
    const { clock, signal, sockets } = this.#input;
    const address = {
      places: [{ host: sockets, port: PORT }],
      user,
      database,
      password: undefined,
      passwordFile: undefined,
      applicationName: 'walhold',
      options: SESSION_OPTIONS,
      connectTimeoutMs: CONNECT_MS,
      tls: { mode: 'disable', rootCertificate: undefined, certificate: undefined, key: undefined } as const,
    };
    return await ServerSession.connect(address, { log: SILENT, clock, signal });
  }

  /** Shuts it down with all its pages written. Throws `server` when it does not come to that. */
  async stop(): Promise<void> {
    const { keeper, clock, signal } = this.#input;
    keeper.shutDown();
    const until = clock.now() + MOST_STOP_MS;
    while (keeper.serverStatus === undefined && clock.now() < until) await clock.sleep(LOOK_EVERY_MS, signal);
    if (keeper.serverStatus === 0) return;
    throw new WalholdError('server', 'the private server did not shut down', {
      detail: (await this.lastFailure()) ?? '',
    });
  }

  /** What it has logged so far, the end of it where it is long. */
  async log(): Promise<string> {
    const path = join(this.#input.scratch, LOG_NAME);
    try {
      const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const { size } = await handle.stat();
        const bytes = Buffer.alloc(Math.min(size, MOST_LOG_BYTES));
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, size - bytes.length);
        return bytes.toString('utf8', 0, bytesRead);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw ioError(`could not read ${path}`, error);
    }
  }

  /** The last thing that it called fatal, with its detail; else its last line. */
  async lastFailure(): Promise<string | undefined> {
    const lines = (await this.log()).split('\n').filter((line) => line.trim() !== '');
    const at = lines.findLastIndex(
      (line) => /\] (?:FATAL|PANIC): /.test(line) && !/not yet accepting|starting up/.test(line),
    );
    if (at < 0) return lines.at(-1);
    const more = lines.slice(at + 1).find((line) => /\] (?:DETAIL|HINT): /.test(line));
    return [lines[at], more]
      .map((line) => line?.replace(/^.*?\] (?:FATAL|PANIC|DETAIL|HINT): +/, ''))
      .filter((line) => line !== undefined)
      .join(': ');
  }

  /** The SQLSTATE or another reason why it cannot be asked now; `undefined`: it can. */
  async #refusal(entrance: Entrance): Promise<unknown> {
    if (!(await isThere(join(this.#input.sockets, `.s.PGSQL.${PORT}`)))) return 'no socket';
    try {
      await using session = await this.connect(entrance);
      const row = await session.row('look', 'select pg_is_in_recovery() as recovering');
      return row['recovering'] === true ? 'recovering' : undefined;
    } catch (error) {
      this.#input.signal.throwIfAborted();
      const { cause } = error as { cause?: { code?: unknown } };
      return cause?.code ?? 'no answer';
    }
  }

  /** Root writes where another account could have put a link. */
  async #write(path: string, text: string): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
    try {
      const handle = await open(path, flags, 0o600);
      try {
        const { account } = this.#input;
        if (account !== undefined) await handle.chown(account.uid, account.gid);
        await handle.writeFile(text);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw ioError(`could not write ${path}`, error);
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function unknownUser(users: readonly string[]): WalholdError {
  return new WalholdError('server', 'could not connect to the recovered server', {
    detail: `it knows none of the users ${users.join(', ')}, or none of the databases postgres and template1`,
    hint: 'Name a superuser of the cluster with --username.',
  });
}
