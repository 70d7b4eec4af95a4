import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts';
import { plainPath } from '../../postgres/incremental-file.ts';
import type { Manifest } from '../../postgres/manifest-reader.ts';
import { pathKey } from '../../postgres/path-key.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import { addTo, type Amount } from './amount.ts';
import { digestFiles, type DiskPoolOptions } from './disk-pool.ts';
import type { JoinedFile } from './joined-files.ts';
import { MARKER_NAME } from './restore-marker.ts';
import type { SelectionInput } from './restore-selection.ts';
import type { Owner } from './target-directory.ts';
import { walkTarget, type FoundEntry, type TargetRoot } from './walk-target.ts';

/** What lies in the directories to be filled, held against a backup. */
export interface Survey extends Pick<SelectionInput, 'kept' | 'found'> {
  /** What the backup does not have. */
  removed: Amount;
  /** Bytes that come free, by the root's path. */
  freed: ReadonlyMap<string, number>;
}

export interface SurveyInput {
  roots: readonly TargetRoot[];
  /** OIDs of tablespaces that lie outside of the data directory. */
  outside: readonly string[];
  /** Of the newest backup. */
  newest: { record: BackupRecord; manifest: Manifest };
  isBlank: SelectionInput['isBlank'];
  disk: DiskPoolOptions;
}

/** `undefined`: it is put together from several links, and what it is then nobody knows before. */
type Expected = { size: number; sha256: string } | undefined;

interface Compared {
  path: string | Buffer;
  size: number;
  expected: Expected;
  root: TargetRoot;
  diskBytes: number;
}

/** Reads every file whose size fits, with all threads; changes nothing. */
export async function surveyTarget(input: SurveyInput): Promise<Survey> {
  const expected = expectedFiles(input);
  const compared: Compared[] = [];
  const removed: Amount = { files: 0, bytes: 0 };
  const freed = new Map<string, number>();
  const isElsewhere = placedElsewhere(input.outside);
  const look = ({ root, path, stats }: FoundEntry): boolean => {
    if (path === MARKER_NAME && root.prefix === '') return true;
    const key = pathKey(path);
    const known = expected.has(key) && stats.isFile() && !isElsewhere(root, path);
    const wanted = expected.get(key);
    const diskBytes = stats.nlink === 1 ? stats.blocks * 512 : 0;
    if (known && (wanted === undefined || wanted.size === stats.size)) {
      compared.push({ path, size: stats.size, expected: wanted, root, diskBytes });
    } else {
      free(freed, root, diskBytes);
      if (!expected.has(key) || isElsewhere(root, path)) addTo(removed, stats.isFile() ? stats.size : 0);
    }
    return true;
  };
  await walkTarget(input.roots, { stays: look, clearing: undefined, signal: input.disk.signal });
  const kept = new Set<string>();
  const found = new Map<string, JoinedFile>();
  await digestFiles(compared, input.disk, ({ path, size, expected: wanted, root, diskBytes }, sha256) => {
    if (wanted === undefined && typeof path === 'string' && sha256 !== undefined) found.set(path, { size, sha256 });
    else if (wanted !== undefined && sha256 === wanted.sha256) kept.add(pathKey(path));
    else free(freed, root, diskBytes);
  });
  return { kept, found, removed, freed };
}

/** Takes away all that is not kept. Directories stay where something in them does. Throws `io`. */
export async function clearTarget(
  {
    roots,
    outside,
    owner,
    signal,
  }: Pick<SurveyInput, 'roots' | 'outside'> & { owner: Owner | undefined; signal: AbortSignal },
  { kept, found }: Pick<Survey, 'kept' | 'found'>,
): Promise<void> {
  const isElsewhere = placedElsewhere(outside);
  const stays = ({ root, path, stats }: FoundEntry): boolean => {
    if (path === MARKER_NAME && root.prefix === '') return true;
    if (!stats.isFile() || isElsewhere(root, path)) return false;
    return kept.has(pathKey(path)) || (typeof path === 'string' && found.has(path));
  };
  await walkTarget(roots, { stays, clearing: { owner }, signal });
}

/** By `pathKey`. Whatever happens `pg_control` is written anew, at the end; and what is not restored is not compared. */
function expectedFiles({ newest, isBlank }: SurveyInput): Map<string, Expected> {
  const expected = new Map<string, Expected>();
  const { record, manifest } = newest;
  for (const { path, size, checksum } of manifest.files) {
    const plain = record.type === 'incremental' && typeof path === 'string' ? plainPath(path) : undefined;
    if (path === CONTROL_FILE_PATH || isBlank(plain ?? path)) expected.set(pathKey(path), NEVER);
    else if (plain !== undefined) expected.set(plain, undefined);
    else if (checksum?.algorithm === 'SHA256') expected.set(pathKey(path), { size, sha256: checksum.hex });
  }
  return expected;
}

/** No file has this size. */
const NEVER = { size: -1, sha256: '' };

/** Below a tablespace's name in the data directory itself nothing belongs where that lies outside. */
function placedElsewhere(outside: readonly string[]): (root: TargetRoot, path: string | Buffer) => boolean {
  const oids = new Set(outside);
  return ({ prefix }, path) => {
    if (prefix !== '') return false;
    const oid = /^pg_tblspc\/([0-9]+)(?:\/|$)/.exec(path.toString('latin1'))?.[1];
    return oid !== undefined && oids.has(oid);
  };
}

function free(freed: Map<string, number>, { path }: TargetRoot, bytes: number): void {
  freed.set(path, (freed.get(path) ?? 0) + bytes);
}
