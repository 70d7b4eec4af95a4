/**
 * Notes on disk between one call and the next. They make calls quicker and wiser, never right: each is believed only after a look
 * at what it is about, and a spool that cannot be read or written is a warning, never a failure.
 *
 * Under the data directory it bears a name that base backups and pg_rewind pass over, and holds nothing but regular files.
 */
import { mkdir, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceDurably, temporaryName } from '../base/durable.ts';
import { reasonOf, systemCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

const MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** Larger ones are not ours. */
const MOST_BYTES = 64 * 1024;
const SUFFIX = '.json';
/** A writer alive has renamed its file long before. */
const LEFTOVER_MS = 600_000;

export interface Spool {
  /** Absolute; `undefined` where there is none, and nothing is kept. */
  readonly path: string | undefined;
  /** A note's fields; `undefined`: there is none that can be read. */
  read(name: string): Promise<Readonly<Record<string, unknown>> | undefined>;
  /** `durable`: it must survive a crash of the machine. */
  write(name: string, fields: Readonly<Record<string, unknown>>, durability?: 'durable'): Promise<void>;
  remove(name: string): Promise<void>;
}

/** Where there is no data directory, or it is not ours to write into. */
export const NO_SPOOL: Spool = {
  path: undefined,
  read: () => Promise.resolve(undefined),
  write: () => Promise.resolve(),
  remove: () => Promise.resolve(),
};

/** Whether the same was said before, to whoever reads this log. */
export type SaidBefore = (what: string, now: number) => Promise<boolean>;

/**
 * Opens the spool, which need not exist: the first note makes it. One listing now spares a look at each note later. What stands against
 * it is one warning, and none if it was `saidBefore`.
 */
export async function openSpool(path: string, log: Log, now: number, saidBefore?: SaidBefore): Promise<Spool> {
  const there = new Set<string>();
  let warned = false;
  const warn = async (what: string, error: unknown): Promise<void> => {
    if (warned) return;
    warned = true;
    if ((await saidBefore?.(`${path}: ${systemCode(error)}`, now)) === true) return;
    log.warning(`could not ${what} in the spool ${path}`, {
      detail: reasonOf(error),
      hint: 'Let the user that runs the server write there, or set spool_path; walhold works without, less well in outages.',
    });
  };
  try {
    for (const name of await readdir(path)) {
      if (name.endsWith(SUFFIX)) there.add(name.slice(0, -SUFFIX.length));
      else if (name.startsWith('.tmp-')) await sweep(join(path, name), now - LEFTOVER_MS);
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') await warn('look', error);
  }
  const file = (name: string): string => join(path, name + SUFFIX);
  return {
    path,
    async read(name) {
      if (!there.has(name)) return undefined;
      try {
        return await readFields(file(name));
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') await warn(`read ${name}`, error);
        return undefined;
      }
    },
    async write(name, fields, durability) {
      const text = `${JSON.stringify(fields)}\n`;
      try {
        await makeSpoolDirectory(path);
        if (durability === 'durable') await replaceDurably(file(name), text, MODE);
        else await replace(path, file(name), text);
        there.add(name);
      } catch (error) {
        await warn(`note ${name}`, error);
      }
    },
    async remove(name) {
      if (!there.has(name)) return;
      try {
        await unlink(file(name));
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') return await warn(`remove ${name}`, error);
      }
      there.delete(name);
    },
  };
}

/**
 * The spool's own level only, private. Node's `mkdir -p` is no choice: where a parent says ENOENT to everything, as `/proc` does, it
 * never returns.
 */
export async function makeSpoolDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: DIRECTORY_MODE });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

async function readFields(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readFile(path, 'utf8');
  if (text.length > MOST_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A crash of the machine can leave an empty file; a note lost is a note less.
    return undefined;
  }
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

async function replace(directory: string, path: string, text: string): Promise<void> {
  const temporary = temporaryName(directory);
  try {
    await writeFile(temporary, text, { mode: MODE, flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

async function sweep(path: string, before: number): Promise<void> {
  try {
    const found = await stat(path);
    if (found.isFile() && found.mtimeMs < before) await unlink(path);
  } catch {
    // Another call was faster, or it is not ours to remove.
  }
}
