/** One connection to a live server, kept open. The only place that speaks `pg`. */
import pg from 'pg';
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { missingRightHint } from './missing-right.ts';
import { passwordFromFile } from './password-file.ts';
import type { ServerAddress } from './server-address.ts';
import { tlsTries, type TlsTry } from './tls.ts';

export interface SessionDeps {
  log: Log;
  clock: Clock;
  /** Ends what runs, with its reason. */
  signal: AbortSignal;
}

/** No server closes a connection that is used so often. */
const PING_MS = 60_000;
/** A server that has not answered a quick question by then hangs. */
const ANSWER_MS = 300_000;
/** How long a goodbye may take. */
const CLOSE_MS = 2_000;

type Row = Readonly<Record<string, unknown>>;

export interface QueryOptions {
  /** It takes as long as it takes: waiting for a checkpoint. */
  unbounded?: true;
}

/** What one statement gave. */
export interface StatementAnswer {
  /** 0: it is none that gives rows. */
  columns: number;
  rows: readonly (readonly unknown[])[];
}

export class ServerSession implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #lost = new AbortController();
  readonly #closing = new AbortController();
  readonly #deps: SessionDeps;
  readonly #user: string;
  /** Queries without an answer yet. */
  #running = 0;
  /** For messages: where the server is. */
  readonly where: string;

  private constructor(client: pg.Client, user: string, where: string, deps: SessionDeps) {
    this.#client = client;
    this.#user = user;
    this.#deps = deps;
    this.where = where;
    client.on('error', (error) => this.#lose(reasonOf(error)));
    client.on('end', () => this.#lose('it was closed'));
    client.on('notice', (notice) => deps.log.debug(`the server says: ${notice.message ?? ''}`));
  }

  /** Tries the address's places in order. Throws `server` with the last one's answer. */
  static async connect(address: ServerAddress, deps: SessionDeps): Promise<ServerSession> {
    let last: unknown;
    for (const place of address.places) {
      for (const ssl of tlsTries(address, place.host)) {
        deps.signal.throwIfAborted();
        try {
          return await ServerSession.#connectTo(address, place, ssl, deps);
        } catch (error) {
          deps.signal.throwIfAborted();
          last = error;
        }
      }
    }
    throw last;
  }

  static async #connectTo(
    address: ServerAddress,
    place: { host: string; port: number },
    ssl: TlsTry,
    deps: SessionDeps,
  ): Promise<ServerSession> {
    const { user, database, options } = address;
    const where = place.host.startsWith('/')
      ? `the server on socket ${place.host}/.s.PGSQL.${place.port}`
      : `the server at ${place.host}, port ${place.port}`;
    const password = (): string => {
      const found =
        address.password ??
        (address.passwordFile === undefined
          ? undefined
          : passwordFromFile(address.passwordFile, { ...place, database, user }, deps.log));
      if (found !== undefined) return found;
      throw new WalholdError('server', `${where} asks for a password for ${user}, and there is none`, {
        hint: 'Put it into ~/.pgpass or PGPASSFILE, or let this user in by another method.',
      });
    };
    const client = new pg.Client({
      ...place,
      user,
      database,
      password,
      ssl: ssl === undefined ? false : ssl,
      application_name: address.applicationName,
      connectionTimeoutMillis: address.connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: PING_MS,
      ...(options === undefined ? {} : { options }),
    });
    const session = new ServerSession(client, user, where, deps);
    try {
      await session.#guarded(client.connect());
      await session.#settle();
      return session;
    } catch (error) {
      await session.close();
      if (error instanceof WalholdError && error.message !== `lost the connection to ${where}`) throw error;
      throw new WalholdError('server', `could not connect to ${where} as ${user}`, {
        detail: error instanceof WalholdError ? (error.detail ?? error.message) : reasonOf(error),
        hint: 'Name the server with -d or the PG* variables, as for psql.',
        cause: error,
      });
    }
  }

  /** Aborts when the connection is lost; its reason says why. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** All rows. `what`: what this is for ("start a backup"), for the message. Throws `server`. */
  async rows(
    what: string,
    sql: string,
    values: readonly unknown[] = [],
    { unbounded }: QueryOptions = {},
  ): Promise<Row[]> {
    const answered = new AbortController();
    if (unbounded === undefined) this.#loseAfter(ANSWER_MS, answered.signal);
    this.#running += 1;
    try {
      return (await this.#guarded(this.#client.query<Row>(sql, [...values]))).rows;
    } catch (error) {
      if (error instanceof WalholdError) throw error;
      const { detail, hint = missingRightHint(error, this.#user) } = error as { detail?: string; hint?: string };
      throw new WalholdError('server', `could not ${what} on ${this.where}`, {
        detail: detail === undefined ? reasonOf(error) : `${reasonOf(error)}: ${detail}`,
        cause: error,
        ...(hint === undefined ? {} : { hint }),
      });
    } finally {
      this.#running -= 1;
      answered.abort();
    }
  }

  /** The one row of a query that always gives one. */
  async row(what: string, sql: string, values: readonly unknown[] = [], options: QueryOptions = {}): Promise<Row> {
    const [row] = await this.rows(what, sql, values, options);
    if (row === undefined) throw new WalholdError('server', `could not ${what} on ${this.where}: it gave no row`);
    return row;
  }

  /**
   * The answers to the statements of a text, in their order: the rows of each, as arrays. The server takes the text as one transaction,
   * unless it says otherwise itself. Takes as long as it takes. Throws `server` at the first statement that fails.
   */
  async script(what: string, sql: string): Promise<StatementAnswer[]> {
    this.#running += 1;
    try {
      const answer: unknown = await this.#guarded(this.#client.query({ text: sql, rowMode: 'array' }));
      const all = (Array.isArray(answer) ? answer : [answer]) as { fields: unknown[]; rows: unknown[][] }[];
      return all.map(({ fields, rows }) => ({ columns: fields.length, rows }));
    } catch (error) {
      if (error instanceof WalholdError) throw error;
      const { position } = error as { position?: string };
      const line = position === undefined ? undefined : sql.slice(0, Number(position)).split('\n').length;
      throw new WalholdError('server', `could not ${what} on ${this.where}`, {
        detail: line === undefined ? reasonOf(error) : `line ${line}: ${reasonOf(error)}`,
        cause: error,
      });
    } finally {
      this.#running -= 1;
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const gone = this.#client.end().catch(() => undefined);
    await Promise.race([gone, this.#deps.clock.sleep(CLOSE_MS).catch(() => undefined)]);
    // A query that still runs would hold the connection, and the process, for as long as it likes.
    (this.#client as unknown as { connection: { stream: { destroy: () => void } } }).connection.stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Settings that would end a long session, and the proof that it is one session: poolers hand out cancel keys of their own. */
  async #settle(): Promise<void> {
    const { pid, version } = await this.row(
      'look',
      `select pg_backend_pid() as pid, current_setting('server_version_num')::int as version`,
    );
    const promised = (this.#client as unknown as { processID: number }).processID;
    if (pid !== promised) {
      throw new WalholdError('server', `${this.where} is not reached directly`, {
        detail: `something between (a connection pooler) answers for it: process ${promised} is really ${String(pid)}`,
        hint: 'A backup needs one session from start to stop: connect to PostgreSQL itself, best by its socket.',
      });
    }
    const zeros = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];
    if (typeof version === 'number' && version >= 140_000) zeros.push('idle_session_timeout');
    if (typeof version === 'number' && version >= 170_000) zeros.push('transaction_timeout');
    await this.rows('prepare the session', `select set_config(name, '0', false) from unnest($1::text[]) name`, [zeros]);
    void this.#keepAwake();
  }

  /** Idle connections are cut by firewalls and proxies. */
  async #keepAwake(): Promise<void> {
    const ended = AbortSignal.any([this.#closing.signal, this.lost, this.#deps.signal]);
    try {
      for (;;) {
        await this.#deps.clock.sleep(PING_MS, ended);
        // One that runs keeps the connection in use, and an answer behind it may be long in coming.
        if (this.#running === 0) await this.rows('keep the session', 'select 1');
      }
    } catch {
      // Over, or lost: `lost` tells who has to know.
    }
  }

  #lose(detail: string): void {
    const hint = 'The server stopped, or something between ended the connection; see its log.';
    this.#lost.abort(new WalholdError('server', `lost the connection to ${this.where}`, { detail, hint }));
  }

  #loseAfter(ms: number, answered: AbortSignal): void {
    this.#deps.clock.sleep(ms, answered).then(
      () => this.#lose(`no answer within ${ms / 1000} s`),
      () => undefined,
    );
  }

  /** `work`, or as soon as they happen the loss of the connection or the end of the command. */
  async #guarded<T>(work: Promise<T>): Promise<T> {
    const ended = AbortSignal.any([this.#deps.signal, this.lost]);
    if (ended.aborted) {
      work.catch(() => undefined);
      throw ended.reason;
    }
    let onEnd: (() => void) | undefined;
    const end = new Promise<never>((_, reject) => {
      onEnd = () => reject(ended.reason as Error);
      ended.addEventListener('abort', onEnd, { once: true });
    });
    try {
      return await Promise.race([work, end]);
    } finally {
      if (onEnd !== undefined) ended.removeEventListener('abort', onEnd);
    }
  }
}
