import { isUtf8 } from 'node:buffer';
import { lstatSync, readdirSync, readlinkSync, realpathSync, type Dirent } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { join } from 'node:path';
import { ioError, systemCode } from '../base/errors.ts';
import { CONTROL_FILE_PATH } from '../postgres/control-file.ts';
import { classify, isUnloggedFork, unloggedRelations, type PathKind } from '../postgres/data-files.ts';

/** Relative to the data directory; bytes only where a name is not UTF-8. */
export type DataPath = string | Buffer;

export interface DataFile {
  path: DataPath;
  /** When it was looked at; it may have changed since. */
  bytes: number;
}

export interface DataDirectory {
  files: DataFile[];
  /** Each before what lies in it; the data directory itself is not among them. */
  directories: DataPath[];
  /** Links in `pg_tblspc`: the link's name and where it points. */
  tablespaces: { oid: string; path: string }[];
  /** What is neither file nor directory, and so in no base backup. */
  special: DataPath[];
}

export interface WalkOptions {
  /** `PG_15_202209061`: a tablespace may be shared with other majors, and only this folder of it is the cluster's. */
  versionDirectory: string;
  /** OIDs: other tablespaces are left out. `undefined`: all are in. */
  tablespaces?: ReadonlySet<string>;
  signal: AbortSignal;
}

/**
 * All that a base backup of this data directory holds, by PostgreSQL's own rules (`postgres/data-files.ts`), except `pg_control`.
 * Call it after the backup has started: what appears later is made again by recovery. Files may vanish meanwhile. Throws `io`.
 */
export async function walkData(dataDirectory: string, options: WalkOptions): Promise<DataDirectory> {
  const walk = new Walk(dataDirectory, options);
  for (let path = walk.todo.pop(); path !== undefined; path = walk.todo.pop()) {
    options.signal.throwIfAborted();
    await nextTurn();
    walk.enter(path);
  }
  dropNested(dataDirectory, walk.found);
  return walk.found;
}

/** The names of what lies in `pg_tblspc`, in order. Throws `io`. */
export function tablespaceOids(dataDirectory: string): string[] {
  const names = entriesOf(dataDirectory, 'pg_tblspc').map(({ name }) => name.toString('latin1'));
  return names.filter((name) => /^[1-9][0-9]{0,9}$/.test(name)).sort();
}

class Walk {
  readonly found: DataDirectory = { files: [], directories: [], tablespaces: [], special: [] };
  readonly todo: DataPath[] = [''];
  readonly #top: string;
  readonly #options: WalkOptions;

  constructor(dataDirectory: string, options: WalkOptions) {
    this.#top = dataDirectory;
    this.#options = options;
  }

  enter(directory: DataPath): void {
    const entries = entriesOf(this.#top, directory);
    const unlogged = unloggedRelations(entries.map(({ name }) => name.toString('latin1')));
    for (const entry of entries) this.#visit(joined(directory, entry.name), kindOf(entry), unlogged);
  }

  #visit(path: DataPath, kind: PathKind, unlogged: ReadonlySet<string>): void {
    const text = path.toString('latin1');
    switch (classify(text, kind)) {
      case 'skip':
        return;
      case 'special':
        this.found.special.push(path);
        return;
      case 'directory-only':
        this.found.directories.push(path);
        return;
      case 'keep':
        if (kind === 'file') this.#keepFile(path, text, unlogged);
        else if (kind === 'symlink') this.#keepTablespace(text);
        else this.#keepDirectory(path);
    }
  }

  #keepFile(path: DataPath, text: string, unlogged: ReadonlySet<string>): void {
    if (text === CONTROL_FILE_PATH || isUnloggedFork(text, unlogged)) return;
    const stats = orVanished(below(this.#top, path), (one) => lstatSync(one));
    if (stats !== undefined) this.found.files.push({ path, bytes: stats.size });
  }

  #keepDirectory(path: DataPath): void {
    this.found.directories.push(path);
    this.todo.push(path);
  }

  #keepTablespace(link: string): void {
    const { tablespaces, versionDirectory } = this.#options;
    const oid = link.slice(link.lastIndexOf('/') + 1);
    if (tablespaces?.has(oid) === false) return;
    const path = orVanished(join(this.#top, link), (one) => readlinkSync(one));
    if (path === undefined) return;
    this.found.tablespaces.push({ oid, path });
    this.found.directories.push(link);
    const own = `${link}/${versionDirectory}`;
    if (orVanished(join(this.#top, own), (one) => lstatSync(one))?.isDirectory() === true) this.#keepDirectory(own);
  }
}

/** A path below the data directory, for the file system. */
export function below(dataDirectory: string, path: DataPath): string | Buffer {
  return typeof path === 'string' ? join(dataDirectory, path) : Buffer.concat([Buffer.from(`${dataDirectory}/`), path]);
}

function entriesOf(dataDirectory: string, path: DataPath): Dirent<Buffer>[] {
  try {
    return readdirSync(below(dataDirectory, path), { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (path !== '' && systemCode(error) === 'ENOENT') return [];
    throw ioError(`could not read the directory ${below(dataDirectory, path).toString()}`, error);
  }
}

/** `undefined`: it has vanished. */
function orVanished<P extends string | Buffer, T>(path: P, look: (path: P) => T): T | undefined {
  try {
    return look(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not look at ${path.toString()}`, error);
  }
}

/** A tablespace inside the data directory would come a second time, under its own name. */
function dropNested(dataDirectory: string, found: DataDirectory): void {
  const top = `${orVanished(dataDirectory, (path) => realpathSync(path)) ?? dataDirectory}/`;
  const nested = found.tablespaces
    .map(({ oid, path }) => orVanished(join(dataDirectory, 'pg_tblspc', oid), (link) => realpathSync(link)) ?? path)
    .filter((path) => path.startsWith(top))
    .map((path) => `${path.slice(top.length)}/`);
  if (nested.length === 0) return;
  const outside = (path: DataPath): boolean => !nested.some((one) => `${path.toString('latin1')}/`.startsWith(one));
  found.files = found.files.filter(({ path }) => outside(path));
  found.directories = found.directories.filter(outside);
  found.special = found.special.filter(outside);
}

function kindOf(entry: Dirent<Buffer>): PathKind {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
}

function joined(parent: DataPath, name: Buffer): DataPath {
  if (typeof parent === 'string' && isUtf8(name))
    return parent === '' ? name.toString() : `${parent}/${name.toString()}`;
  const head = typeof parent === 'string' ? Buffer.from(parent) : parent;
  return head.length === 0 ? Buffer.from(name) : Buffer.concat([head, Buffer.from('/'), name]);
}
