/**
 * All that lies in the directories to be filled, without following a link: each directory is entered through the one that it lies in, which
 * is held open, so that nothing that is exchanged meanwhile leads outside.
 */
import { isUtf8 } from 'node:buffer';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
  type Dirent,
  type Stats,
} from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ioError, systemCode } from '../../base/errors.ts';
import type { Owner } from './target-directory.ts';

/** A directory to be filled. */
export interface TargetRoot {
  /** Absolute. */
  path: string;
  /** What the backup calls it: empty, or `pg_tblspc/<oid>/<version>`. */
  prefix: string;
}

/** What is no directory. */
export interface FoundEntry {
  root: TargetRoot;
  /** As the backup names it; bytes where that is not UTF-8. */
  path: string | Buffer;
  stats: Stats;
}

export interface WalkTargetOptions {
  /** Whether it stays; asked once for each. */
  stays: (entry: FoundEntry) => boolean;
  /**
   * What does not stay is removed, and directories that hold nothing that stays; others become the owner's, and nobody else's to write in.
   * `undefined`: nothing is touched.
   */
  clearing: { owner: Owner | undefined } | undefined;
  signal: AbortSignal;
}

/** A root that is missing holds nothing. Throws `io`. */
export async function walkTarget(roots: readonly TargetRoot[], options: WalkTargetOptions): Promise<void> {
  for (const root of roots) {
    // The directory that the operator has named may be a link, and nothing else.
    const fd = openFolder(root.path, root.prefix === '' ? 0 : constants.O_NOFOLLOW);
    if (fd === undefined) continue;
    try {
      await enter(fd, { root, path: root.prefix }, options);
    } finally {
      closeSync(fd);
    }
  }
}

interface Folder {
  root: TargetRoot;
  path: string | Buffer;
}

/** Whether anything in it stays. */
async function enter(fd: number, folder: Folder, options: WalkTargetOptions): Promise<boolean> {
  options.signal.throwIfAborted();
  await nextTurn();
  const { dev } = fstatSync(fd);
  let stays = false;
  for (const entry of entriesOf(fd, folder)) {
    const path = joined(folder.path, entry.name);
    const place = within(fd, entry.name);
    const kept = entry.isDirectory()
      ? await enterFolder(place, { root: folder.root, path }, { ...options, above: dev })
      : visit(place, { root: folder.root, path }, options);
    stays ||= kept;
  }
  return stays;
}

async function enterFolder(
  place: Buffer,
  folder: Folder,
  { above, ...options }: WalkTargetOptions & { above: number },
): Promise<boolean> {
  const fd = openFolder(place, constants.O_NOFOLLOW);
  if (fd === undefined) return false;
  try {
    // Of a filesystem's own, at its top.
    if (folder.path.toString().endsWith('/lost+found') && fstatSync(fd).dev !== above) return true;
    if (await enter(fd, folder, options)) {
      if (options.clearing !== undefined) settle(fd, folder, options.clearing.owner);
      return true;
    }
  } finally {
    closeSync(fd);
  }
  if (options.clearing !== undefined) remove(folder.path, () => rmdirSync(place), ['ENOENT', 'ENOTEMPTY', 'EBUSY']);
  return false;
}

function visit(place: Buffer, { root, path }: Folder, { stays, clearing }: WalkTargetOptions): boolean {
  let stats: Stats;
  try {
    stats = lstatSync(place);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw ioError(`could not look at ${path.toString()}`, error);
  }
  if (stays({ root, path, stats })) return true;
  if (clearing !== undefined) remove(path, () => unlinkSync(place), ['ENOENT']);
  return false;
}

/** As a server will have it; the backup says later whether its group may read. */
function settle(fd: number, { path }: Folder, owner: Owner | undefined): void {
  try {
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, (fstatSync(fd).mode & 0o750) | 0o700);
  } catch (error) {
    throw ioError(`could not keep ${path.toString()}`, error);
  }
}

function remove(path: string | Buffer, work: () => void, ignored: readonly string[]): void {
  try {
    work();
  } catch (error) {
    if (!ignored.includes(systemCode(error) ?? '')) throw ioError(`could not remove ${path.toString()}`, error);
  }
}

function openFolder(place: string | Buffer, follow: number): number | undefined {
  try {
    return openSync(place, constants.O_RDONLY | constants.O_DIRECTORY | follow);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not look into ${place.toString()}`, error);
  }
}

function entriesOf(fd: number, { path }: Folder): Dirent<Buffer>[] {
  try {
    return readdirSync(`/proc/self/fd/${fd}`, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    throw ioError(`could not look into ${path.toString()}`, error);
  }
}

function within(fd: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
}

function joined(parent: string | Buffer, name: Buffer): string | Buffer {
  if (typeof parent === 'string' && isUtf8(name))
    return parent === '' ? name.toString() : `${parent}/${name.toString()}`;
  if (parent.length === 0) return Buffer.from(name);
  return Buffer.concat([Buffer.from(parent), Buffer.from('/'), name]);
}
