import { existsSync } from 'node:fs';
import { appendFile, chown, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { findPostgres, type PostgresBinaries } from '../../scripts/find-postgres.ts';
import type { Account } from '../../scripts/server-user.ts';
import { initdb, type InitOptions } from './initdb.ts';
import { Place } from './place.ts';
import { processesWith, signalAll } from './process-tree.ts';
import { plainEnvironment, runAs, runOk, type RunOptions, type RunResult } from './run.ts';
import { ServerProcess, type Ending } from './server-process.ts';
import { appendSettings, type Settings } from './server-settings.ts';
import { GiveUp, waitFor } from './wait-for.ts';

export interface ClusterOptions {
  /** PostgreSQL's major version; without it whichever this machine has. */
  major?: number;
  /** Appears in the paths. */
  name?: string;
  /** Added to the environment of the server, and so of the commands that it runs. */
  env?: Record<string, string>;
}

export interface StartOptions {
  /** `connections` (default): returns when queries are answered. `nothing`: returns at once. */
  until?: 'connections' | 'nothing';
  deadlineMs?: number;
  /** A command that runs the server: `unshare --pid --fork`. Then its number is not the postmaster's. */
  under?: readonly string[];
}

export interface LogWait {
  deadlineMs?: number;
  /** Only what was logged after the last {@link Cluster.markLog} with this text counts. */
  after?: string;
}

export type StopMode = 'smart' | 'fast' | 'immediate';

const STOP_SIGNAL = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** Marks all processes that a cluster's server ever started, so that none is left behind. */
const MARK = 'WALHOLD_TEST_CLUSTER';

/**
 * A real PostgreSQL for one test, run by an account other than root and reachable through a private socket only. It is
 * made stopped. Dispose of it (`await using`, `afterAll`), and the server, whatever it started, and its files are gone;
 * so they are when this process ends, however it ends (the files excepted, if it is killed).
 */
export class Cluster implements AsyncDisposable {
  readonly postgres: PostgresBinaries;
  readonly dataDir: string;
  /** The folder of the socket, for connection strings as `host`. */
  readonly socketDir: string;
  readonly logFile: string;
  /** Where a test may put more files that the server's account owns: configuration, repositories, tablespaces. */
  readonly place: Place;
  /** The environment of the server, from the next start on. */
  readonly env: Record<string, string>;
  #server: ServerProcess | undefined;
  readonly #clients = new Set<Client>();
  readonly #killNow = (): void => this.#server?.killNow();

  private constructor(postgres: PostgresBinaries, place: Place, socketDir: string, dataDir: string, env: object) {
    this.postgres = postgres;
    this.place = place;
    this.socketDir = socketDir;
    this.dataDir = dataDir;
    this.logFile = join(place.path, 'server.log');
    this.env = { ...plainEnvironment(), ...env, [MARK]: place.path };
    process.once('exit', this.#killNow);
  }

  /** A new cluster, by initdb. */
  static async create(options: ClusterOptions & InitOptions = {}): Promise<Cluster> {
    const cluster = await Cluster.over(undefined, options);
    await initdb(cluster.postgres, cluster.user, cluster.dataDir, options);
    return cluster;
  }

  /**
   * A cluster over a data directory that exists already or will exist by the start, one that was restored for instance.
   * `undefined`: the folder `data` in the cluster's own place, to be filled by the caller.
   */
  static async over(dataDir: string | undefined, options: ClusterOptions = {}): Promise<Cluster> {
    const postgres = await findPostgres(options.major);
    const place = await Place.create(options.name ?? `pg${postgres.major}`);
    const socketDir = await place.folder('socket');
    await place.file('server.log', '');
    return new Cluster(postgres, place, socketDir, dataDir ?? join(place.path, 'data'), options.env ?? {});
  }

  get user(): Account {
    return this.place.owner;
  }

  /** A libpq connection string for the superuser. */
  get connectionString(): string {
    return `host=${this.socketDir} port=5432 user=postgres dbname=postgres`;
  }

  get isRunning(): boolean {
    return this.#server !== undefined && this.#server.ending === undefined;
  }

  /** The postmaster's process id. */
  get pid(): number {
    return this.#running().pid;
  }

  /** @throws when the server ends before it answers, or does not answer in time; its last log lines are in the message. */
  async start({ until = 'connections', deadlineMs = 60_000, under = [] }: StartOptions = {}): Promise<void> {
    if (this.isRunning) throw new Error('the server runs already');
    const own = {
      unix_socket_directories: this.socketDir,
      listen_addresses: '',
      port: '5432',
      logging_collector: 'off',
    };
    const flags = Object.entries(own).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const argv = [...under, join(this.postgres.bin, 'postgres'), '-D', this.dataDir, ...flags];
    this.#server = new ServerProcess(this.user, argv, this.env, this.logFile);
    if (until === 'connections') await this.waitUntilConnectable(deadlineMs);
  }

  async waitUntilConnectable(deadlineMs = 60_000): Promise<void> {
    const probe = async (): Promise<boolean> => {
      const ending = this.#server?.ending;
      if (ending !== undefined) {
        throw new GiveUp(`the server ended with ${ending.status ?? ending.signal}\n${await this.logTail()}`);
      }
      return (await this.query('select 1 as one')).length === 1;
    };
    try {
      await waitFor(probe, { what: 'the server to answer', deadlineMs });
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      throw new Error(`the server does not answer\n${await this.logTail()}`, { cause: error });
    }
  }

  /** Stops the server and returns how many milliseconds that took. A server that is not running is no error. */
  async stop(mode: StopMode = 'fast', deadlineMs = 60_000): Promise<number> {
    const started = performance.now();
    if (this.isRunning) {
      this.#running().signal(STOP_SIGNAL[mode]);
      await this.waitForEnd(deadlineMs);
    }
    return performance.now() - started;
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  /** See {@link ServerProcess.crash}. */
  async kill9(what: 'everything' | 'postmaster' = 'everything'): Promise<void> {
    await this.#running().crash(what);
  }

  /** Waits until the server has ended, by itself or because it was told to. */
  async waitForEnd(deadlineMs = 60_000): Promise<Ending> {
    if (this.#server === undefined) throw new Error('the server was never started');
    const server = this.#server;
    try {
      return await waitFor(() => server.ending, { what: 'the server to end', deadlineMs });
    } catch (error) {
      throw new Error(`the server does not end\n${await this.logTail()}`, { cause: error });
    }
  }

  /** Promotes a standby and returns how many milliseconds passed until it took writes. */
  async promote(deadlineMs = 60_000): Promise<number> {
    const started = performance.now();
    await this.runOk([join(this.postgres.bin, 'pg_ctl'), 'promote', '-D', this.dataDir, '--no-wait']);
    await this.waitUntilPromoted(deadlineMs);
    return performance.now() - started;
  }

  /** Waits until the server has left recovery. */
  async waitUntilPromoted(deadlineMs = 60_000): Promise<void> {
    const probe = async (): Promise<boolean> => {
      if (!this.isRunning) throw new GiveUp(`the server ended in recovery\n${await this.logTail()}`);
      return !(await this.value<boolean>('select pg_is_in_recovery()'));
    };
    await waitFor(probe, { what: 'the end of recovery', deadlineMs });
  }

  /** Appends settings to `postgresql.conf` (or the file named, in the data directory); they count from the next start. */
  async configure(settings: Settings, file = 'postgresql.conf'): Promise<void> {
    await appendSettings(join(this.dataDir, file), settings);
    await chown(join(this.dataDir, file), this.user.uid, this.user.gid);
  }

  /** {@link configure}, then has the running server read it, and waits until it has. */
  async reconfigure(settings: Settings): Promise<void> {
    await this.configure(settings);
    const before = await this.value<Date>('select pg_conf_load_time()');
    this.#running().signal('SIGHUP');
    const probe = async (): Promise<boolean> => (await this.value<Date>('select pg_conf_load_time()')) > before;
    await waitFor(probe, { what: 'the configuration to be read again', deadlineMs: 10_000 });
  }

  /** A connection that the caller may end; else it ends with the cluster. A lost connection shows in the next query only. */
  async connect(database = 'postgres'): Promise<Client> {
    const client = new Client({ host: this.socketDir, port: 5432, user: 'postgres', database });
    client.on('error', () => {}); // else a server that is killed would end this process
    client.once('end', () => this.#clients.delete(client));
    await client.connect();
    this.#clients.add(client);
    return client;
  }

  /** The rows of one query on a connection of its own. */
  async query<Row extends QueryResultRow>(sql: string, values: unknown[] = [], database?: string): Promise<Row[]> {
    const client = await this.connect(database);
    try {
      return values.length === 0 ? (await client.query<Row>(sql)).rows : (await client.query<Row>(sql, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** The one value that a query gives. */
  async value<T>(sql: string, values: unknown[] = []): Promise<T> {
    const [row] = await this.query<Record<string, T>>(sql, values);
    const found = row === undefined ? undefined : Object.values(row)[0];
    if (found === undefined) throw new Error(`no value came from: ${sql}`);
    return found;
  }

  /** Runs a program as the server's user, with the server's environment. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return await runAs(this.user, argv, { ...options, env: { ...this.env, ...options.env } });
  }

  /** {@link run} for what must succeed. */
  async runOk(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return await runOk(this.user, argv, { ...options, env: { ...this.env, ...options.env } });
  }

  /** All that the server and its commands have written to stderr, over all starts. */
  async logText(): Promise<string> {
    return await readFile(this.logFile, 'utf8');
  }

  async logTail(lines = 30): Promise<string> {
    return (await this.logText()).split('\n').slice(-lines).join('\n');
  }

  /** Puts a line into the log, to tell what comes after from what came before. */
  async markLog(text: string): Promise<void> {
    await appendFile(this.logFile, `---- ${text}\n`);
  }

  /** Waits until the log matches, and returns the match. */
  async waitForLog(pattern: RegExp, { deadlineMs = 60_000, after = '' }: LogWait = {}): Promise<RegExpExecArray> {
    const probe = async (): Promise<RegExpExecArray | null> => {
      const text = await this.logText();
      return pattern.exec(after === '' ? text : text.slice(text.lastIndexOf(`---- ${after}\n`)));
    };
    return await waitFor(probe, { what: `the log to match ${pattern}`, deadlineMs });
  }

  /** Names in `pg_wal`, or in a folder below it such as `archive_status`. */
  async walFiles(folder = ''): Promise<string[]> {
    return (await readdir(join(this.dataDir, 'pg_wal', folder))).toSorted();
  }

  /** The server at once, its processes, and all files; fine to call twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    process.removeListener('exit', this.#killNow);
    if (this.isRunning) await this.#running().end();
    await Promise.all([...this.#clients].map(async (client) => await client.end().catch(() => {})));
    await waitFor(() => this.#isAlone(), { what: 'all processes of the server to be gone', deadlineMs: 20_000 });
    if (existsSync(this.place.path)) await this.place[Symbol.asyncDispose]();
  }

  /** Kills what is left. A process may start another one while it is looked for, and write until it is dead. */
  #isAlone(): boolean {
    const left = processesWith(MARK, this.place.path);
    signalAll(left, 'SIGKILL');
    return left.length === 0;
  }

  #running(): ServerProcess {
    if (this.#server === undefined || this.#server.ending !== undefined) throw new Error('the server is not running');
    return this.#server;
  }
}
