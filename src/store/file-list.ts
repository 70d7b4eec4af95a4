import { lstat, type BigIntStats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { abortable } from './abortable.ts';
import { fileStoreError, requireRoot, saysAbsent } from './file-errors.ts';
import { objectInfo } from './file-info.ts';
import { isKeyPart } from './object-key.ts';
import type { ListEntry, ListOptions } from './store.ts';

/** How many files are looked at at once: the thread pool is small, but a network mount answers many. */
const BATCH = 64;

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
    if (name.kind === 'object') {
      const end = endOfRun(names, at, Math.min(BATCH, options.limit ?? BATCH));
      const run = names.slice(at, end);
      const found = await abortable(options.signal, lookAt(root, run));
      for (const [index, stats] of found.entries()) {
        if (stats?.isFile() !== true) continue;
        yield { kind: 'object', ...objectInfo((run[index] as Name).key, stats, options.now) };
      }
      at = end;
    } else {
      if (options.delimited !== true) yield* walk(root, name.key, prefix, options);
      else if (await holdsObject(root, name.key, options.signal)) yield { kind: 'directory', prefix: name.key };
      at += 1;
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
  while (end < names.length && end - from < most && names[end]?.kind === 'object') end += 1;
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
  const names = await readNames(root, directory, signal);
  if (names.some((name) => name.kind === 'object')) return true;
  for (const name of names) if (await holdsObject(root, name.key, signal)) return true;
  return false;
}
