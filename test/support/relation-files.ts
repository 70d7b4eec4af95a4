import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withoutCaches, withoutHints } from './page-mask.ts';

const BLOCK = 8192;

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
    if (here.equals(there)) return [];
    const blocks = Array.from({ length: Math.max(here.length, there.length) / BLOCK }, (_, block) => block);
    const mask = isMain(name) ? (hints ? withoutCaches : withoutHints) : asItIs;
    const wrong = blocks.flatMap((block) => firstDifference(blockOf(here, block), blockOf(there, block), mask, block));
    if (wrong.length === 0) return [];
    return [
      `${name}: ${here.length / BLOCK} blocks, not ${there.length / BLOCK}, wrong are ${wrong.slice(0, 20).join(', ')}`,
    ];
  });
}

/** The block, and the first byte in it that is not the same. */
function firstDifference(here: Buffer, there: Buffer, mask: (page: Buffer) => Buffer, block: number): string[] {
  if (here.equals(there)) return [];
  if (here.length !== BLOCK || there.length !== BLOCK) return [`${block}`];
  const [one, other] = [mask(here), mask(there)];
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at === -1 ? [] : [`${block} (at ${at}: ${one[at]}, not ${other[at]})`];
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

function relationsOf(folder: string): Map<string, Buffer> {
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
  const contents = kept.map((name): [string, Buffer] => [name, readFileSync(join(folder, name))]);
  return new Map(contents.filter(([, bytes]) => bytes.length > 0));
}

function below(folder: string, place: string): string[] {
  const path = join(folder, place);
  return statSync(path).isDirectory() ? readdirSync(path).map((name) => `${place}/${name}`) : [];
}
