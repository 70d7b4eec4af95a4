import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DrillCheck } from '../../repository/drill-record.ts';
import type { Account } from '../../server/keeper.ts';
import { SESSION_OPTIONS, type Entrance } from '../../server/private-server.ts';
import type { ServerSession } from '../../server/session.ts';

export const AMCHECK = 'pg_amcheck';

export interface AmcheckInput {
  session: ServerSession;
  entrance: Entrance;
  /** The folder of PostgreSQL's programs. */
  programs: string;
  sockets: string;
  account: Account | undefined;
  environment: Readonly<Record<string, string | undefined>>;
  jobs: number;
  signal: AbortSignal;
}

const MOST_SAID = 4000;
/** The first lines of what it complains of are enough to begin with. */
const MOST_LINES = 5;

/** Has `pg_amcheck` look at tables and B-trees of all databases, where this installation has it. */
export async function checkAmcheck(input: AmcheckInput): Promise<DrillCheck> {
  const lacking = await whatIsLacking(input);
  if (lacking !== undefined) return { name: AMCHECK, ok: true, detail: `not to be had: ${lacking}` };
  const { status, said } = await runAmcheck(input);
  if (status === 0) return { name: AMCHECK, ok: true, detail: 'tables and indexes of all databases are well' };
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  return {
    name: AMCHECK,
    ok: false,
    detail: lines.slice(0, MOST_LINES).join(' ') || `it ended with ${String(status)}`,
  };
}

async function whatIsLacking({ programs, session }: AmcheckInput): Promise<string | undefined> {
  if (!existsSync(join(programs, 'pg_amcheck'))) return `there is no pg_amcheck in ${programs}`;
  const sql = `select from pg_available_extensions where name = 'amcheck'`;
  const found = await session.rows('look for the extension amcheck', sql);
  return found.length === 0 ? 'the extension amcheck is not installed here' : undefined;
}

async function runAmcheck(input: AmcheckInput): Promise<{ status: number | string; said: string }> {
  const { programs, sockets, entrance, jobs, account, environment, signal } = input;
  const where = ['-h', sockets, '-p', '5432', '-U', entrance.user, '-w', `--maintenance-db=${entrance.database}`];
  const argv = [...where, '--all', '--install-missing', `--jobs=${jobs}`];
  const kept = Object.entries(environment).filter(([name]) => !name.startsWith('PG'));
  // Event triggers of the cluster's, which would answer to the extension's being created, do not fire for a replica.
  const PGOPTIONS = `${SESSION_OPTIONS} -c session_replication_role=replica -c default_transaction_read_only=off`;
  return await new Promise((resolve, reject) => {
    const child = spawn(join(programs, 'pg_amcheck'), argv, {
      ...account,
      cwd: '/',
      env: { ...Object.fromEntries(kept), LC_ALL: 'C', PGOPTIONS },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let said = '';
    const hear = (text: string): void => {
      if (said.length < MOST_SAID) said += text;
    };
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
    child.once('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    child.once('close', (status, by) => resolve({ status: status ?? by ?? 'unknown', said }));
  });
}
