import { lstat, opendir, type BigIntStats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { abortable } from './abortable.ts';
import { fileStoreError, requireRoot, saysAbsent } from './file-errors.ts';
import { objectInfo } from './file-info.ts';
import { isKeyPart } from './object-key.ts';
import type { ListEntry, ListOptions } from './store.ts';

/** How many files are looked at at once: the thread pool is small, but a network mount answers many. */
const BATCH = 64;
/** As many as come from a directory at a time where one is looked for. */
const FIRST_NAMES = 4;

/** `now` (ms) decides which retention has run out. */
export interface FileListOptions extends ListOptions {
  now: number;
}

/** A name in one directory, with the key (file) or key prefix (directory, ends in `/`) that it stands for. */
interface Name {
  kind: 'object' | 'directory';
  key: string;
}

/**
 * Walks the tree in the order of the keys' bytes. Only directories that can hold a wanted key are read. Hidden names, symbolic
 * links, devices and names outside the keys' alphabet are not there; neither is a directory without any object, since S3 has none.
 */
export async function* listFiles(root: string, prefix: string, options: FileListOptions): AsyncGenerator<ListEntry> {
  const directory = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  let left = options.limit ?? Infinity;
  if (left <= 0) return;
  for await (const entry of walk(root, directory, prefix, options)) {
    yield entry;
    left -= 1;
    if (left <= 0) return;
  }
}

async function* walk(
  root: string,
  directory: string,
  prefix: string,
  options: FileListOptions,
): AsyncGenerator<ListEntry> {
  const names = (await readNames(root, directory, options.signal)).filter(
    (name) => name.key.startsWith(prefix) && mayFollow(name, options),
  );
  for (let at = 0; at < names.length;) {
    const name = names[at] as Name;
    if (name.kind === 'directory' && options.delimited !== true) {
      yield* walk(root, name.key, prefix, options);
      at += 1;
      continue;
    }
    const run = names.slice(at, endOfRun(names, at, Math.min(BATCH, options.limit ?? BATCH)));
    at += run.length;
    if (name.kind === 'object') {
      const found = await abortable(options.signal, lookAt(root, run));
      for (const [index, stats] of found.entries()) {
        if (stats?.isFile() !== true) continue;
        yield { kind: 'object', ...objectInfo((run[index] as Name).key, stats, options.now) };
      }
    } else {
      const isTold = async ({ key }: Name): Promise<boolean> =>
        options.maybeEmpty === true || (await holdsObject(root, key, options.signal));
      const held = await Promise.all(run.map(isTold));
      for (const [index, { key }] of run.entries()) if (held[index] === true) yield { kind: 'directory', prefix: key };
    }
  }
}

/** Whether the name, or something below it, sorts after `after`. A folded directory that was itself the last entry does not. */
function mayFollow(name: Name, { after, delimited }: ListOptions): boolean {
  if (after === undefined || name.key > after) return true;
  if (name.kind === 'object' || !after.startsWith(name.key)) return false;
  return delimited !== true || after !== name.key;
}

function endOfRun(names: readonly Name[], from: number, most: number): number {
  let end = from;
  while (end < names.length && end - from < most && names[end]?.kind === names[from]?.kind) end += 1;
  return end;
}

async function readNames(root: string, directory: string, signal: AbortSignal): Promise<Name[]> {
  try {
    const entries = await abortable(signal, readdir(join(root, directory), { withFileTypes: true }));
    const names: Name[] = [];
    for (const entry of entries) {
      if (!isKeyPart(entry.name)) continue;
      if (entry.isFile()) names.push({ kind: 'object', key: directory + entry.name });
      else if (entry.isDirectory()) names.push({ kind: 'directory', key: `${directory}${entry.name}/` });
    }
    // A directory sorts by its slash, which comes after `-` and `.` and before digits and letters.
    return names.sort((a, b) => (a.key < b.key ? -1 : 1));
  } catch (error) {
    if (signal.aborted) throw error;
    if (!saysAbsent(error)) throw fileStoreError(`could not list ${join(root, directory)}`, error);
    await abortable(signal, requireRoot(root));
    return [];
  }
}

/**
 * What each of the names is; `undefined`: gone. By callbacks, which cost half of what promises do, and a year's archive has millions
 * of files.
 */
function lookAt(root: string, names: readonly Name[]): Promise<(BigIntStats | undefined)[]> {
  const found: (BigIntStats | undefined)[] = [];
  let left = names.length;
  return new Promise((resolve, reject) => {
    for (const [index, { key }] of names.entries()) {
      lstat(`${root}/${key}`, { bigint: true }, (error, stats) => {
        if (error !== null && !saysAbsent(error)) reject(fileStoreError(`could not look at ${join(root, key)}`, error));
        found[index] = error === null ? stats : undefined;
        left -= 1;
        if (left === 0) resolve(found);
      });
    }
  });
}

/** A crash between making a directory and linking into it leaves an empty one, which must not pass for evidence of WAL. */
async function holdsObject(root: string, directory: string, signal: AbortSignal): Promise<boolean> {
  const below: string[] = [];
  try {
    if (await abortable(signal, hasFile(`${root}/${directory}`, below))) return true;
  } catch (error) {
    if (signal.aborted) throw error;
    if (!saysAbsent(error)) throw fileStoreError(`could not list ${join(root, directory)}`, error);
    await abortable(signal, requireRoot(root));
    return false;
  }
  for (const name of below) if (await holdsObject(root, `${directory}${name}/`, signal)) return true;
  return false;
}

/** Reads no further than to the first file: a log has hundreds, and a year thousands of logs. Names of directories go to `below`. */
function hasFile(path: string, below: string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    opendir(path, { bufferSize: FIRST_NAMES }, (error, directory) => {
      if (error !== null) {
        reject(error);
        return;
      }
      const end = (found: boolean, failure: Error | null): void =>
        directory.close((closing) => {
          const broken = failure ?? closing ?? null;
          if (broken === null) resolve(found);
          else reject(broken);
        });
      const next = (): void =>
        directory.read((failure, entry) => {
          if (failure !== null || entry === null) end(false, failure);
          else if (isKeyPart(entry.name) && entry.isFile()) end(true, null);
          else {
            if (isKeyPart(entry.name) && entry.isDirectory()) below.push(entry.name);
            next();
          }
        });
      next();
    });
  });
}
