import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withoutCaches, withoutHints } from './page-mask.ts';

const BLOCK = 8192;
/** Of each file, read at once. */
const CHUNK = 128 * BLOCK;
/** So many wrong blocks of a file are named. */
const NAMED = 20;

/**
 * How the relation files of a folder differ from those of a quiet server's data directory, whose checkpoint has been made: files that
 * only one of them has, and blocks that are not the same. Unlogged and temporary relations are passed over, and files with nothing in.
 * `hints` false: of a server that did not log all hints, which are not compared then.
 */
export function differingFiles(folder: string, dataDir: string, { hints = true }: { hints?: boolean } = {}): string[] {
  const [found, expected] = [relationsOf(folder), relationsOf(dataDir)];
  const names = new Set([...found.keys(), ...expected.keys()]);
  return [...names].toSorted().flatMap((name) => {
    const [here, there] = [found.get(name), expected.get(name)];
    if (here === undefined || there === undefined)
      return [`${name}: only in ${here === undefined ? 'the server' : 'the backup'}`];
    const mask = isMain(name) ? (hints ? withoutCaches : withoutHints) : asItIs;
    const wrong = differingBlocks(join(folder, name), join(dataDir, name), mask);
    if (here === there && wrong.length === 0) return [];
    return [`${name}: ${here / BLOCK} blocks, not ${there / BLOCK}, wrong are ${wrong.slice(0, NAMED).join(', ')}`];
  });
}

/** The blocks with the first byte in each that is not the same, or those that only one of the files has. */
function differingBlocks(here: string, there: string, mask: (page: Buffer) => Buffer): string[] {
  const [one, other] = [openSync(here, 'r'), openSync(there, 'r')];
  const found: string[] = [];
  try {
    for (let at = 0; ; at += CHUNK) {
      const [mine, theirs] = [readAt(one, at), readAt(other, at)];
      if (mine.length === 0 && theirs.length === 0) return found;
      if (mine.equals(theirs)) continue;
      for (let block = 0; block * BLOCK < Math.max(mine.length, theirs.length); block++)
        found.push(...firstDifference(blockOf(mine, block), blockOf(theirs, block), mask, at / BLOCK + block));
    }
  } finally {
    closeSync(one);
    closeSync(other);
  }
}

function firstDifference(here: Buffer, there: Buffer, mask: (page: Buffer) => Buffer, block: number): string[] {
  if (here.equals(there)) return [];
  if (here.length !== BLOCK || there.length !== BLOCK) return [`${block}`];
  const [one, other] = [mask(here), mask(there)];
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at === -1 ? [] : [`${block} (at ${at}: ${one[at]}, not ${other[at]})`];
}

function readAt(fd: number, position: number): Buffer {
  const chunk = Buffer.allocUnsafe(CHUNK);
  return chunk.subarray(0, readSync(fd, chunk, 0, CHUNK, position));
}

function isMain(name: string): boolean {
  return /\/\d+(\.\d+)?$/.test(name);
}

function asItIs(page: Buffer): Buffer {
  return page;
}

function blockOf(bytes: Buffer, block: number): Buffer {
  return bytes.subarray(block * BLOCK, (block + 1) * BLOCK);
}

/** Their sizes, by path. */
function relationsOf(folder: string): Map<string, number> {
  const tablespaces = readdirSync(join(folder, 'pg_tblspc')).map((oid) => `pg_tblspc/${oid}`);
  const databases = ['base', ...tablespaces.flatMap((place) => below(folder, place))].flatMap((place) =>
    below(folder, place),
  );
  const names = ['global', ...databases].flatMap((place) => below(folder, place));
  const relations = names.filter((name) => /\/\d+(_(fsm|vm|init))?(\.\d+)?$/.test(name));
  const unlogged = new Set(relations.filter((name) => name.endsWith('_init')).map((name) => name.replace('_init', '')));
  const kept = relations.filter(
    (name) => name.endsWith('_init') || !unlogged.has(name.replace(/(_(fsm|vm))?(\.\d+)?$/, '')),
  );
  const sizes = kept.map((name): [string, number] => [name, statSync(join(folder, name)).size]);
  return new Map(sizes.filter(([, size]) => size > 0));
}

function below(folder: string, place: string): string[] {
  const path = join(folder, place);
  return statSync(path).isDirectory() ? readdirSync(path).map((name) => `${place}/${name}`) : [];
}
