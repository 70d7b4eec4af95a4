/** The links of a chain, looked at before a byte moves, and then read from the newest down. */
import { WalholdError } from '../../base/errors.ts';
import { parseBackupLabel } from '../../postgres/backup-label.ts';
import type { Manifest } from '../../postgres/manifest-reader.ts';
import { labelMisfit } from '../../repository/backup-chain.ts';
import { findObjects, objectsOf } from '../../repository/backup-objects.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import type { StoredBackup } from '../../repository/backups.ts';
import { ChainFiles, type Selection } from '../../repository/chain-files.ts';
import { firstThatWorks } from '../../repository/repository.ts';
import { piecesOf, type RestorePiece } from '../../repository/restore-pieces.ts';
import { memberPlace, readMember } from '../../repository/stored-member.ts';
import { readManifest, readWholeRecord, type BackupSource } from './backup-source.ts';
import type { JoinedFiles } from './joined-files.ts';
import type { RestoreSelection } from './restore-selection.ts';

export interface ChainReading {
  /** The full backup first. */
  chain: readonly StoredBackup[];
  /** Where a link is read. */
  sourceOf: (link: StoredBackup) => BackupSource;
  jobs: number;
  /** What of it is brought, once the newest link is known; `undefined`: everything. */
  select: (newest: { record: BackupRecord; manifest: Manifest }) => Promise<RestoreSelection | undefined>;
}

export interface OpenedChain {
  /** Of the newest backup. */
  record: BackupRecord;
  manifest: Manifest;
  manifestBytes: Buffer;
  /** What the newest one stands on; `undefined`: it is a full one. */
  parent: StoredBackup['summary'] | undefined;
  /** What the pieces of all links come to. */
  plainBytes: number;
  /** Of the link that has the most. */
  mostPieces: number;
  /**
   * Bytes by tablespace (its OID, or empty) that will lie there. Of a joined file its base and what is new in the newest link: more than
   * it has, or, where it grew in between, a little less.
   */
  needs: ReadonlyMap<string, number>;
  /**
   * The pieces of each link, the newest first. Older links are read again at their turn: a long chain's files fill much memory. What is
   * needed of them is decided by what the newer ones gave.
   */
  links: (joined: JoinedFiles) => AsyncGenerator<readonly RestorePiece[]>;
  selection: RestoreSelection | undefined;
}

/** Throws `damaged` or `not-found`, naming the link, where not all of the chain is there and fits. */
export async function openChain(reading: ChainReading): Promise<OpenedChain> {
  const newestFirst = reading.chain.toReversed();
  const files = new ChainFiles();
  const needs = new Map<string, number>();
  let newest: LinkContents | undefined;
  let selection: RestoreSelection | undefined;
  let plainBytes = 0;
  let mostPieces = 0;
  for (const [index, link] of newestFirst.entries()) {
    const read = await readManifestOf(reading, link);
    if (index === 0) selection = await reading.select(read);
    const contents = withPieces(reading, read, files, selection?.plan);
    if (newestFirst.length > 1) await checkLink(reading.sourceOf(link), contents, newestFirst[index + 1]?.summary);
    for (const { plainBytes: bytes, storedBytes, files: members } of contents.pieces) {
      plainBytes += bytes;
      const dense = Math.min(1, (storedBytes * MOST_RATIO) / Math.max(1, bytes));
      for (const { path, size, use } of members) {
        if (use === 'whole' || use === 'base' || (use === 'blocks' && index === 0))
          addNeed(needs, path, Math.ceil(size * dense));
      }
    }
    mostPieces = Math.max(mostPieces, contents.pieces.length);
    newest ??= contents;
  }
  if (newest === undefined) throw new RangeError('a chain without links');
  const first = newest;
  const { record, manifest, manifestBytes } = first;
  const parent = newestFirst[1]?.summary;
  const links = (joined: JoinedFiles): AsyncGenerator<readonly RestorePiece[]> =>
    linksFrom(reading, first, selection?.below(joined));
  return { record, manifest, manifestBytes, parent, plainBytes, mostPieces, needs, links, selection };
}

/** What compresses better than this is zeros, and they take no space. */
const MOST_RATIO = 1000;

interface LinkContents {
  record: BackupRecord;
  manifest: Manifest;
  manifestBytes: Buffer;
  pieces: readonly RestorePiece[];
}

async function* linksFrom(
  reading: ChainReading,
  newest: LinkContents,
  select: Selection | undefined,
): AsyncGenerator<readonly RestorePiece[]> {
  yield newest.pieces;
  const files = new ChainFiles();
  files.next(newest.record, newest.manifest);
  for (const link of reading.chain.toReversed().slice(1)) {
    yield withPieces(reading, await readManifestOf(reading, link), files, select).pieces;
  }
}

async function readManifestOf({ sourceOf }: ChainReading, link: StoredBackup): Promise<Omit<LinkContents, 'pieces'>> {
  const source = sourceOf(link);
  const record = await readWholeRecord(source, link.summary);
  const { manifest, bytes } = await readManifest(source, record);
  return { record, manifest, manifestBytes: bytes };
}

function withPieces(
  { jobs }: ChainReading,
  { record, manifest, manifestBytes }: Omit<LinkContents, 'pieces'>,
  files: ChainFiles,
  select: Selection | undefined,
): LinkContents {
  const newest = !files.begun;
  const use = files.next(record, manifest);
  return { record, manifest, manifestBytes, pieces: piecesOf(record, manifest, jobs, { newest, use, select }) };
}

/** Its objects are stored, by a listing, and its label says what its record says. */
async function checkLink(
  { repositories, signal }: BackupSource,
  { record, manifest }: LinkContents,
  parent: StoredBackup['summary'] | undefined,
): Promise<void> {
  const objects = objectsOf(record);
  const missing = new Map(objects.map(({ key }) => [key, '']));
  for (const repository of repositories) {
    const { there, problems } = await findObjects(repository, record.id, objects, { signal });
    for (const { object, message } of problems) if (missing.has(object)) missing.set(object, message);
    for (const key of there) missing.delete(key);
  }
  for (const [key, message] of missing) throw unfit('not-found', record, `${key}: ${message}`);
  const sha256 = digestOf(manifest, 'backup_label');
  const place = memberPlace(record, 'backup_label');
  if (sha256 === undefined || place === undefined) throw unfit('damaged', record, 'it has no backup_label');
  const wanted = { path: 'backup_label', sha256, place };
  const { value } = await firstThatWorks(repositories, (one) => readMember(one, record, wanted, { signal }));
  if (value === undefined) throw unfit('not-found', record, 'its backup_label is not stored');
  const label = parseBackupLabel(value.toString('utf8'));
  const misfit =
    label.startLsn === record.startLsn
      ? labelMisfit(label, parent)
      : 'its label and its record begin at different places';
  if (misfit !== undefined) throw unfit('damaged', record, misfit);
}

function digestOf({ files }: Manifest, wanted: string): string | undefined {
  for (const { path, checksum } of files) if (path === wanted) return checksum?.hex;
  return undefined;
}

function unfit(code: 'damaged' | 'not-found', { id }: BackupRecord, detail: string): WalholdError {
  return new WalholdError(code, `backup ${id} is no whole link of its chain`, {
    detail,
    hint: 'Restore an older backup, or see "walhold verify".',
  });
}

function addNeed(needs: Map<string, number>, path: string | Uint8Array, size: number): void {
  const oid = /^pg_tblspc\/([0-9]+)\//.exec(path.toString())?.[1] ?? '';
  needs.set(oid, (needs.get(oid) ?? 0) + size);
}
