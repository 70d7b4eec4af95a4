/** The objects of a backup beside its parts, each from the first repository that gives it whole and right. */
import { WalholdError } from '../../base/errors.ts';
import { openManifest, type Manifest } from '../../postgres/manifest-reader.ts';
import { oldestAuthenticPart } from '../../repository/authentic-part.ts';
import { readAuthentic } from '../../repository/authentic.ts';
import { readBackup } from '../../repository/backups.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import { configKey, manifestKey, partKey } from '../../repository/layout.ts';
import { decodeObject } from '../../repository/object-codec.ts';
import { HEAD_MAX_BYTES, namingObject, TAIL_BYTES } from '../../repository/object-head.ts';
import { firstThatWorks, type Repository, type RepositoryFailure } from '../../repository/repository.ts';
import { sha256 } from '../../stream/checksum.ts';
import { Untar, type TarEntry } from '../../stream/untar.ts';
import { FrameReader } from '../../stream/zstd.ts';

export interface BackupSource {
  repositories: readonly Repository[];
  signal: AbortSignal;
  /** A repository failed, and another one was asked. */
  warn: (failure: RepositoryFailure, object: string) => void;
}

const CONFIG_MAX_BYTES = 256 * 1024 * 1024;

/** Throws `not-found`, or what makes it untrustworthy. */
export async function readWholeRecord(
  { repositories, signal }: BackupSource,
  { id, server: { systemId } }: Pick<BackupRecord, 'id' | 'server'>,
): Promise<BackupRecord> {
  const found = await readBackup(repositories, id, { signal, systemId });
  if (found === undefined) throw missing(id, 'backup.json');
  return found.record;
}

/** PostgreSQL's manifest, proven by its own checksum and by the record's. */
export async function readManifest(
  source: BackupSource,
  record: BackupRecord,
): Promise<{ manifest: Manifest; bytes: Buffer }> {
  const { id } = record;
  const key = manifestKey(id);
  const bytes = await fromAny(source, key, async ({ store, url }) => {
    const maxBytes = record.manifest.storedBytes + HEAD_MAX_BYTES;
    return await readAuthentic(store, key, { signal: source.signal, maxBytes }, (found) => {
      const { plain } = decodeObject(found.bytes, `${url}/${key}`, record.manifest.bytes);
      if (sha256(plain) !== record.manifest.sha256)
        throw damaged(`${url}/${key}`, 'it is not the one that backup.json names');
      return plain;
    });
  });
  return { manifest: openManifest(bytes), bytes };
}

/** The tar of configuration from outside the data directory, as stored, without its tail. */
export async function readConfigArchive(
  source: BackupSource,
  { id, config }: BackupRecord,
): Promise<Buffer | undefined> {
  if (config === undefined) return undefined;
  const key = configKey(id);
  return await fromAny(source, key, async ({ store, url }) => {
    const maxBytes = Math.min(config.storedBytes, CONFIG_MAX_BYTES);
    return await readAuthentic(store, key, { signal: source.signal, maxBytes }, ({ bytes }) => {
      const stored = bytes.subarray(0, bytes.length - TAIL_BYTES);
      if (sha256(stored) !== config.sha256)
        throw damaged(`${url}/${key}`, 'its digest is not the one that backup.json has');
      return stored;
    });
  });
}

/** Whose the first member of a backup was: the files of a data directory all belong to one. */
export async function readFirstEntry(source: BackupSource, record: BackupRecord): Promise<TarEntry> {
  const [part] = record.parts;
  const [frame] = part?.frames ?? [];
  if (part === undefined || frame === undefined) throw missing(record.id, 'part-1.tar.zst');
  const key = partKey(record.id, part.number);
  const { signal } = source;
  const range = { offset: 0, bytes: frame.storedBytes };
  return await fromAny(source, key, async ({ store, url }) =>
    oldestAuthenticPart(store, key, part, { signal }, async (which) => {
      const opened = await store.open(key, { signal, range, ...which });
      if (opened === undefined) return undefined;
      const entry = await firstEntryOf(opened.chunks, `${url}/${key}`);
      if (entry === undefined) throw damaged(`${url}/${key}`, 'it begins with no member of an archive');
      return entry;
    }),
  );
}

async function firstEntryOf(chunks: AsyncIterable<Uint8Array>, object: string): Promise<TarEntry | undefined> {
  let first: TarEntry | undefined;
  const untar = new Untar({ begin: (entry) => (first ??= entry), data() {}, end() {} });
  const frames = new FrameReader();
  try {
    for await (const chunk of chunks) {
      frames.write(chunk, (bytes) => untar.write(bytes));
      if (first !== undefined) return first;
    }
    return undefined;
  } catch (error) {
    throw namingObject(error, object);
  }
}

async function fromAny<T>(
  { repositories, warn }: BackupSource,
  key: string,
  read: (repository: Repository) => Promise<T | undefined>,
): Promise<T> {
  const { value, failures } = await firstThatWorks(repositories, read);
  for (const failure of failures) warn(failure, key);
  if (value === undefined)
    throw new WalholdError('not-found', `${key} is missing`, { hint: 'Restore another backup.' });
  return value;
}

function missing(id: string, file: string): WalholdError {
  return new WalholdError('not-found', `backup ${id} has no ${file}`, {
    hint: 'Restore another backup; see "walhold list".',
  });
}

function damaged(object: string, detail: string): WalholdError {
  return new WalholdError('damaged', `could not trust ${object}`, {
    detail,
    hint: 'Read it from another repository, or see "walhold verify".',
  });
}
