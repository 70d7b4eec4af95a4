/** What lies in a data directory's `pg_wal`: WAL files, and what the archiver is told of them. */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { forEachParallel } from '../base/parallel.ts';
import { ioError, systemCode, WalholdError } from '../base/errors.ts';
import { LONG_HEADER_BYTES } from '../postgres/wal-header.ts';
import { parseWalName, type WalFile } from '../postgres/wal-name.ts';

export interface PgWal {
  /** Absolute. */
  path: string;
  /** In the order of their names. Anything else in the directory is passed over. */
  files: readonly LocalWalFile[];
  /** Names that wait for the archiver, with since when, in order. */
  ready: ReadonlyMap<string, Date>;
  /** Names that the archiver is done with. */
  done: ReadonlySet<string>;
}

export interface LocalWalFile {
  file: WalFile;
  path: string;
  bytes: number;
  /** When it was last written. */
  modifiedAt: Date;
}

/** More at once would only wait for the thread pool. */
const LOOKS_AT_ONCE = 16;

/** Throws `io` when it cannot be read, `not-found` when there is no `pg_wal`. */
export async function readPgWal(dataDirectory: string): Promise<PgWal> {
  const path = join(dataDirectory, 'pg_wal');
  // Before the files: what is ready by now is then among them, unless it was stored and removed since.
  const statuses = await namesIn(join(path, 'archive_status'));
  const names = await namesIn(path);
  if (names === undefined) {
    throw new WalholdError('not-found', `there is no pg_wal in "${dataDirectory}"`, {
      hint: 'Name the data directory with -D.',
    });
  }
  const files: LocalWalFile[] = [];
  await forEachParallel(names, LOOKS_AT_ONCE, async (name) => {
    const file = parseWalName(name);
    const found = file === undefined ? undefined : await look(join(path, name));
    if (file !== undefined && found !== undefined) files.push({ file, path: join(path, name), ...found });
  });
  const ready = new Map<string, Date>();
  await forEachParallel(statuses ?? [], LOOKS_AT_ONCE, async (status) => {
    const name = withoutSuffix(status, '.ready');
    const found = name === undefined ? undefined : await look(join(path, 'archive_status', status));
    if (name !== undefined && found !== undefined) ready.set(name, found.modifiedAt);
  });
  return {
    path,
    files: files.sort((a, b) => (a.file.name < b.file.name ? -1 : 1)),
    ready: new Map([...ready].sort(([a], [b]) => (a < b ? -1 : 1))),
    done: new Set((statuses ?? []).flatMap((status) => withoutSuffix(status, '.done') ?? [])),
  };
}

/** The first bytes of a segment, enough for its header. `undefined`: it is gone, or shorter. */
export async function readSegmentStart({ path }: Pick<LocalWalFile, 'path'>): Promise<Buffer | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(LONG_HEADER_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      return bytesRead === buffer.length ? buffer : undefined;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not read ${path}`, error);
  }
}

/** The part before `suffix`, where that makes a WAL file's name. */
function withoutSuffix(status: string, suffix: string): string | undefined {
  if (!status.endsWith(suffix)) return undefined;
  const name = status.slice(0, -suffix.length);
  return parseWalName(name) === undefined ? undefined : name;
}

async function namesIn(path: string): Promise<string[] | undefined> {
  try {
    return await readdir(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not list ${path}`, error);
  }
}

async function look(path: string): Promise<{ bytes: number; modifiedAt: Date } | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? { bytes: found.size, modifiedAt: found.mtime } : undefined;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not look at ${path}`, error);
  }
}
