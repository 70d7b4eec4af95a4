/** What the data directory on this machine tells without asking the server. */
import { constants } from 'node:fs';
import { access, open, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ioError, systemCode, WalholdError } from '../base/errors.ts';
import { CONTROL_FILE_BYTES, CONTROL_FILE_PATH, parseControlFile, type ControlFile } from '../postgres/control-file.ts';

/**
 * The nearest directory above `walPath` (`%p`, relative to `workingDirectory` or absolute) that holds `PG_VERSION`, else the working
 * directory if that does. `undefined`: neither; then nothing is known of the cluster.
 */
export async function findDataDirectory(walPath: string, workingDirectory: string): Promise<string | undefined> {
  const start = dirname(resolve(workingDirectory, walPath));
  for (let at = start; ; at = dirname(at)) {
    if (await exists(join(at, 'PG_VERSION'))) return at;
    if (at === dirname(at)) break;
  }
  return (await exists(join(workingDirectory, 'PG_VERSION'))) ? workingDirectory : undefined;
}

/** A read that falls into the server's write is torn; five in a row are not. */
const MOST_READS = 5;

/**
 * Reads `global/pg_control`. `undefined`: there is none. Of a format not known here only the system identifier is given: a newer
 * major must not stop archiving. Throws `server` for a file that stays torn, `io` if it cannot be read.
 */
export async function readControlFile(
  dataDirectory: string,
): Promise<ControlFile | Pick<ControlFile, 'systemId'> | undefined> {
  const path = join(dataDirectory, CONTROL_FILE_PATH);
  let message = '';
  for (let reads = 0; reads < MOST_READS; reads++) {
    const bytes = await readStart(path, CONTROL_FILE_BYTES);
    if (bytes === undefined) return undefined;
    const parsed = parseControlFile(bytes);
    if (parsed.ok) return parsed.control;
    if (parsed.reason === 'unsupported') return { systemId: parsed.systemId };
    message = parsed.message;
  }
  throw new WalholdError('server', `could not read ${path}`, { detail: message });
}

/** Whether `standby.signal` lies there. Throws `io` when that cannot be found out. */
export async function hasStandbySignal(dataDirectory: string): Promise<boolean> {
  return exists(join(dataDirectory, 'standby.signal'));
}

/** Whether a recovery goes on, a standby's or another. Throws `io` when that cannot be found out. */
export async function hasRecoverySignal(dataDirectory: string): Promise<boolean> {
  return (await hasStandbySignal(dataDirectory)) || (await exists(join(dataDirectory, 'recovery.signal')));
}

/** One run of a postmaster: its process and when it started, so that a number used again is another one. */
export interface Postmaster {
  pid: number;
  /** `<pid>:<start, seconds since 1970>`. */
  run: string;
}

/** The postmaster that `postmaster.pid` names, alive or not. `undefined`: none, or a file that is being written. */
export async function readPostmaster(dataDirectory: string): Promise<Postmaster | undefined> {
  const lines = await readPostmasterLines(dataDirectory);
  return lines === undefined ? undefined : { pid: Number(lines[0]), run: `${lines[0]}:${lines[2]}` };
}

/** The first three lines of `postmaster.pid`: process, data directory, start. */
export async function readPostmasterLines(
  dataDirectory: string,
): Promise<readonly [pid: string, dataDirectory: string, start: string] | undefined> {
  const bytes = await readStart(join(dataDirectory, 'postmaster.pid'), 4096).catch(() => undefined);
  const [pid = '', path = '', start = ''] = bytes?.toString('utf8').split('\n') ?? [];
  return /^[1-9]\d{0,9}$/.test(pid) && /^\d{1,19}$/.test(start) ? [pid, path, start] : undefined;
}

/** Whether whoever runs this owns the directory: what another user (root, by hand) made there the server could not use. */
export async function ownsDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).uid === process.geteuid?.();
  } catch {
    return false;
  }
}

/** Reads a small text file of the data directory; `undefined`: it is not there, or cannot be read. */
export async function readTextFile(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    // Above the data directory there may be places that this user must not look into.
    if (code === 'EACCES' && path.endsWith('/PG_VERSION')) return false;
    throw ioError(`could not look for ${path}`, error);
  }
}

async function readStart(path: string, bytes: number): Promise<Buffer | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(bytes);
      const { bytesRead } = await handle.read(buffer, 0, bytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not read ${path}`, error);
  }
}
