/**
 * What V8 has compiled for earlier calls, below the data directory that a call runs in: whoever may write there could do whatever the
 * server's user can, so the directory must be that user's and nobody else's. A worker makes it; no call does.
 */
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { VERSION } from '../base/version.ts';
import { SERVICE_DIRECTORY } from '../spool/service.ts';

const PREFIX = 'compiled-';
const OTHERS = 0o077;

/** Loads from it what is loaded from now on, and remembers what is not there yet. Never fails: all works without. */
export function useCompiledCode(dataDirectory: string): void {
  const path = placeOf(dataDirectory);
  if (isPrivate(path)) enableCompileCache(path);
}

/** Writes what this process has compiled anew. Costs nothing when that is nothing, or nothing is kept. */
export function keepCompiledCode(): void {
  flushCompileCache();
}

/** From now on calls keep what they compile. What earlier versions have kept goes. Never fails. */
export function makeCompiledCode(dataDirectory: string): void {
  const path = placeOf(dataDirectory);
  try {
    for (const name of readdirSync(dirname(path))) {
      if (name.startsWith(PREFIX) && name !== basename(path)) rmSync(join(dirname(path), name), { recursive: true });
    }
    mkdirSync(path, { mode: 0o700 });
  } catch {
    // It is there already, or nothing is kept.
  }
}

/** One for each version, since no other can use it. */
function placeOf(dataDirectory: string): string {
  return join(dataDirectory, SERVICE_DIRECTORY, PREFIX + VERSION);
}

function isPrivate(path: string): boolean {
  try {
    const found = lstatSync(path);
    return found.isDirectory() && found.uid === process.geteuid?.() && (found.mode & OTHERS) === 0;
  } catch {
    return false;
  }
}
