/** What PostgreSQL's own tools make of a chain of backups, beside what walhold restores. */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { debianClient } from '../../scripts/debian-clients.ts';
import type { PostgresBinaries } from '../../scripts/find-postgres.ts';
import type { Archived } from './archived-cluster.ts';
import { extracted, recordOf } from './backup-folder.ts';

/** pg_combinebackup came with it. */
const SINCE_MAJOR = 17;

/** The words that run each. */
export interface CombiningTools {
  combine: readonly string[];
  verify: readonly string[];
}

/** `undefined`: the server is older than they are, or neither it nor an archive of packages has them. */
export async function combiningTools({ bin, major }: PostgresBinaries): Promise<CombiningTools | undefined> {
  if (major < SINCE_MAJOR) return undefined;
  const wordsOf = async (program: string): Promise<string[] | undefined> =>
    existsSync(join(bin, program)) ? [join(bin, program)] : await debianClient(major, program);
  const [combine, verify] = [await wordsOf('pg_combinebackup'), await wordsOf('pg_verifybackup')];
  return combine === undefined || verify === undefined ? undefined : { combine, verify };
}

/** Chains of one repository; each of their backups is extracted once, and stays. */
export class CombinedChains {
  readonly #archived: Archived;
  readonly #tools: CombiningTools;
  readonly #extracted = new Map<string, string>();

  constructor(archived: Archived, tools: CombiningTools) {
    this.#archived = archived;
    this.#tools = tools;
  }

  /**
   * How a directory that `walhold restore` has filled with this backup differs from what tar, zstd and pg_combinebackup make of its
   * chain: files and directories that only one of them has, files that are not the same byte for byte, and lines of the manifests.
   * pg_verifybackup must accept both.
   */
  async differences(dataDir: string, id: string): Promise<string[]> {
    const { cluster } = this.#archived;
    const target = join(cluster.place.path, `combined-${id}`);
    const argv = ['--no-sync', '--manifest-checksums=SHA256', '-o', target, ...(await this.#chain(id))];
    await cluster.runOk([...this.#tools.combine, ...argv]);
    try {
      for (const folder of [target, dataDir])
        await cluster.runOk([...this.#tools.verify, '-n', '-i', 'tablespace_map', folder]);
      return [...differingPaths(dataDir, target), ...differingEntries(dataDir, target)];
    } finally {
      await rm(target, { recursive: true });
    }
  }

  /** The folders of a chain, the full backup first. */
  async #chain(id: string): Promise<string[]> {
    const folder = this.#extracted.get(id) ?? (await extracted(this.#archived, id));
    this.#extracted.set(id, folder);
    const { parent } = await recordOf(this.#archived, id);
    return parent === null ? [folder] : [...(await this.#chain(parent)), folder];
  }
}

/** What a restore writes to have a server recover, and where tablespaces lie. The manifests are compared entry by entry. */
const OWN = new Set(['postgresql.auto.conf', 'recovery.signal', 'tablespace_map', 'backup_manifest']);

function differingPaths(restored: string, combined: string): string[] {
  const [here, there] = [pathsBelow(restored), pathsBelow(combined)];
  return [...new Set([...here, ...there])].toSorted().flatMap((path) => {
    if (!here.has(path)) return [`${path}: not restored`];
    if (!there.has(path)) return [`${path}: restored, and not in the combined directory`];
    if (path.endsWith('/')) return [];
    return readFileSync(join(restored, path)).equals(readFileSync(join(combined, path)))
      ? []
      : [`${path}: other bytes`];
  });
}

/** Directories end with a slash. Links, which are those to tablespaces, are followed. */
function pathsBelow(top: string, below = ''): Set<string> {
  const found = new Set<string>();
  for (const name of readdirSync(join(top, below))) {
    const path = below + name;
    if (OWN.has(path)) continue;
    const isDirectory = statSync(join(top, path)).isDirectory();
    found.add(isDirectory ? `${path}/` : path);
    if (isDirectory) for (const one of pathsBelow(top, `${path}/`)) found.add(one);
    else if (!lstatSync(join(top, path)).isFile()) throw new Error(`${path} is no file`);
  }
  return found;
}

interface ManifestJson {
  Files: { Path?: string; 'Encoded-Path'?: string; Size: number; Checksum: string }[];
  'WAL-Ranges': unknown[];
}

/** When a file was changed last is each tool's own. */
function differingEntries(restored: string, combined: string): string[] {
  const entriesOf = (folder: string): Set<string> => {
    const text = readFileSync(join(folder, 'backup_manifest'), 'utf8');
    const { Files: files, 'WAL-Ranges': ranges } = JSON.parse(text) as ManifestJson;
    const lines = files.map((one) => `${one.Path ?? one['Encoded-Path']} ${one.Size} ${one.Checksum}`);
    return new Set([...lines, JSON.stringify(ranges), ...(/"System-Identifier": \d+/.exec(text) ?? [])]);
  };
  const [here, there] = [entriesOf(restored), entriesOf(combined)];
  const only = (one: Set<string>, other: Set<string>, whose: string): string[] =>
    [...one].filter((line) => !other.has(line)).map((line) => `only ${whose} manifest has ${line}`);
  return [...only(here, there, "walhold's"), ...only(there, here, "pg_combinebackup's")];
}
