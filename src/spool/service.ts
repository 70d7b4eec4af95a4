/**
 * The note that tells calls who serves them, and where its answers lie. Written for a shell: lines, read with `read`. It lies in one
 * place below the data directory whatever the settings say, since the launcher knows no settings.
 *
 * ```
 * KEY                      see call-key.ts
 * PID POLLS                the worker's process; how long a call may wait for its answer, in units of 10 ms
 * DIRECTORY                of the answers
 * +FILE or -FILE           the configuration file that was read, or that was not there
 * HISTORIES                fetch only: the history files in pg_wal by which the answers were judged, as a shell lists them
 * ```
 */
import { readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryName } from '../base/durable.ts';
import { bracketTime, readState, sameState, type FileState } from './file-state.ts';

/** Below the data directory. */
export const SERVICE_DIRECTORY = 'pg_wal/pgsql_tmp.walhold';

export type Role = 'push' | 'fetch';

export interface Service {
  key: string;
  pid: number;
  polls: number;
  /** Absolute. */
  answers: string;
  config: ConfigFile;
  histories?: string;
}

/** The configuration file that settings were read from. */
export interface ConfigFile {
  /** Absolute. */
  path: string;
  /** When it was read; `undefined`: it was not there. */
  state: FileState | undefined;
}

/** Whether the file is as it was. */
export async function isUnchanged(config: ConfigFile): Promise<boolean> {
  return sameState(await readState(config.path), config.state);
}

/** Tells calls of a worker that has all it needs to serve them. Throws what the filesystem says. `false`: it cannot be told here. */
export async function announceService(directory: string, role: Role, service: Service): Promise<boolean> {
  const { key, pid, polls, answers, config, histories } = service;
  const { path, state } = config;
  const lines = [key, `${pid} ${polls}`, answers, `${state === undefined ? '-' : '+'}${path}`];
  if (histories !== undefined) lines.push(histories);
  if (lines.some((line) => line.includes('\n'))) return false;
  if (state !== undefined) {
    const before = join(answers, 'config.before');
    const after = join(answers, 'config.after');
    if (!(await bracketTime(state, { before, after, text: '' }))) return false;
  }
  const temporary = temporaryName(directory);
  try {
    await writeFile(temporary, lines.map((line) => `${line}\n`).join(''), { mode: 0o600, flag: 'wx' });
    await rename(temporary, join(directory, role));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  return true;
}

/** Who serves, as the launcher reads it. `undefined`: nobody. */
export async function readService(
  directory: string,
  role: Role,
): Promise<Pick<Service, 'key' | 'pid' | 'answers'> | undefined> {
  const text = await readFile(join(directory, role), 'utf8').catch(() => '');
  const [key = '', numbers = '', answers = '', config] = text.split('\n');
  const pid = /^([1-9]\d{0,9}) \d+$/.exec(numbers)?.[1];
  if (pid === undefined || config === undefined) return undefined;
  return { key, pid: Number(pid), answers };
}

/** Ends a service that is this one still. */
export async function endService(directory: string, role: Role, { answers }: Pick<Service, 'answers'>): Promise<void> {
  if ((await readService(directory, role))?.answers === answers) {
    await unlink(join(directory, role)).catch(() => undefined);
  }
  await rm(answers, { recursive: true, force: true }).catch(() => undefined);
}

/** What `pg_wal/*.history` gives in a shell, word after word: the pattern itself where there is none. */
export function listedHistories(names: readonly string[]): string {
  const found = names.filter((name) => name.endsWith('.history') && !name.startsWith('.')).toSorted();
  return (found.length === 0 ? ['*.history'] : found).map((name) => ` pg_wal/${name}`).join('');
}
