/** One backup in one repository: its record, its objects by name and size, its manifest, and the contents of its parts. */
import { forEachParallel } from '../base/parallel.ts';
import { parseManifest, type Manifest, type ManifestEntry } from '../postgres/manifest-reader.ts';
import { sha256 } from '../stream/checksum.ts';
import { readAll } from '../store/read-all.ts';
import type { BackupRecord, FileRecord, FrameRecord, StoredRecord } from './backup-record.ts';
import { readRecord } from './backups.ts';
import { backupPrefix, commitKey, configKey, manifestKey, partKey, type BackupId } from './layout.ts';
import { decodeObject } from './object-codec.ts';
import { PartCheck } from './part-check.ts';
import type { Repository } from './repository.ts';
import { concernsOneObject, problemOf, type Problem } from './verify-problem.ts';
import { inSlice, type VerifyScope } from './verify-scope.ts';

/** Half a million files and more. */
const MANIFEST_MAX_BYTES = 512 * 1024 * 1024;

/** What is known of the repository. */
export interface BackupExpectation {
  systemId: bigint;
}

/** `undefined`: an upload that did not end, no backup; or its record cannot be trusted. Throws what the store says. */
export async function verifyBackup(
  repository: Repository,
  id: BackupId,
  expected: BackupExpectation,
  scope: VerifyScope,
): Promise<BackupRecord | undefined> {
  const record = await trusted(scope, commitKey(id), () => readRecord(repository, id, scope));
  if (record === undefined) return undefined;
  if (record.server.systemId !== expected.systemId) {
    const message = `it is of cluster ${record.server.systemId}, not ${expected.systemId}`;
    scope.report.problem({ code: 'misfit', object: commitKey(id), message });
  }
  const objects = objectsOf(record);
  const there = await verifyListing(repository, id, objects, scope);
  if (scope.slice === undefined) return record;
  const manifest = await verifyManifest(repository, record, scope);
  const wanted = objects.filter(({ key }) => there.has(key) && inSlice(scope.slice, key));
  await forEachParallel(wanted, scope.jobs, async (object) => {
    await trusted(scope, object.key, () => verifyPart(repository, record, object, manifest, scope));
  });
  return record;
}

/** A part or the configuration. */
interface StreamedObject {
  key: string;
  kind: 'backup-part' | 'backup-config';
  stored: StoredRecord;
  frames: readonly FrameRecord[] | undefined;
}

function objectsOf(record: BackupRecord): StreamedObject[] {
  const parts = record.parts.map((part): StreamedObject => {
    return { key: partKey(record.id, part.number), kind: 'backup-part', stored: part, frames: part.frames };
  });
  const { config } = record;
  if (config === undefined) return parts;
  return [...parts, { key: configKey(record.id), kind: 'backup-config', stored: config, frames: undefined }];
}

/** Names and sizes; answers the keys that are there with the right size. */
async function verifyListing(
  { store }: Repository,
  id: BackupId,
  objects: readonly StreamedObject[],
  { signal, report }: VerifyScope,
): Promise<Set<string>> {
  const found = new Map<string, number>();
  for await (const entry of store.list(backupPrefix(id), { signal })) {
    if (entry.kind === 'object') found.set(entry.key, entry.bytes);
  }
  const there = new Set<string>();
  for (const { key, stored } of objects) {
    const bytes = found.get(key);
    if (bytes === stored.storedBytes) there.add(key);
    else report.problem(absenceOf(key, bytes, stored.storedBytes));
  }
  if (!found.has(manifestKey(id))) report.problem(absenceOf(manifestKey(id), undefined, 0));
  const known = new Set([...objects.map(({ key }) => key), manifestKey(id), commitKey(id)]);
  for (const key of found.keys()) if (!known.has(key)) report.warning(`${key} belongs to no backup`);
  return there;
}

function absenceOf(key: string, bytes: number | undefined, wanted: number): Problem {
  if (bytes === undefined)
    return { code: 'missing-object', object: key, message: 'the backup names it, and it is not stored' };
  return { code: 'wrong-size', object: key, message: `it has ${bytes} bytes, the backup's record says ${wanted}` };
}

/** The files of the manifest by path; `undefined`: it cannot be trusted, or is not there. */
async function verifyManifest(
  { store, url }: Repository,
  record: BackupRecord,
  scope: VerifyScope,
): Promise<ReadonlyMap<string, ManifestEntry> | undefined> {
  const key = manifestKey(record.id);
  return await trusted(scope, key, async () => {
    const found = await readAll(store, key, { signal: scope.signal, maxBytes: MANIFEST_MAX_BYTES });
    if (found === undefined) return undefined;
    const { head, plain } = decodeObject(found.bytes, `${url}/${key}`, MANIFEST_MAX_BYTES);
    scope.report.checked(found.bytes.length);
    const misfit = (message: string): void => scope.report.problem({ code: 'misfit', object: key, message });
    if (head.name !== `${record.id}/backup_manifest` || head.kind !== 'backup-manifest')
      misfit(`it says that it is ${head.name}`);
    if (sha256(plain) !== record.manifest.sha256) misfit('it is not the manifest that the backup was committed with');
    const manifest = parseManifest(plain);
    for (const message of manifestMismatches(record, manifest)) {
      scope.report.problem({ code: 'manifest-mismatch', object: key, message });
    }
    return new Map(manifest.files.map((file) => [pathKey(file.path), file]));
  });
}

/** Files that only one of record and manifest has, or with another size; the range of WAL. */
function* manifestMismatches(record: BackupRecord, manifest: Manifest): Generator<string> {
  const listed = new Map(manifest.files.map((file) => [pathKey(file.path), file]));
  for (const { frames } of record.parts) {
    for (const { path, size } of frames.flatMap(({ files }) => files)) {
      const file = listed.get(pathKey(path));
      if (file === undefined) yield `the parts hold ${shown(path)}, which it does not name`;
      else if (file.size !== size) yield `it says that ${shown(path)} has ${file.size} bytes, the parts hold ${size}`;
      listed.delete(pathKey(path));
    }
  }
  for (const { path } of listed.values()) yield `it names ${shown(path)}, which no part holds`;
  const covered = manifest.walRanges.some(({ startLsn }) => startLsn === record.startLsn);
  if (!covered) yield 'its range of WAL does not begin where the backup does';
  if (manifest.systemId !== undefined && manifest.systemId !== record.server.systemId) {
    yield `it is of cluster ${manifest.systemId}`;
  }
}

async function verifyPart(
  { store, url }: Repository,
  record: BackupRecord,
  { key, kind, stored, frames }: StreamedObject,
  manifest: ReadonlyMap<string, ManifestEntry> | undefined,
  { signal, report }: VerifyScope,
): Promise<void> {
  const opened = await store.open(key, { signal });
  if (opened === undefined) return;
  const mismatch = (message: string): void => report.problem({ code: 'manifest-mismatch', object: key, message });
  const onFile = (file: FileRecord, digest: string, headerFault: string | undefined): void => {
    if (headerFault !== undefined)
      report.problem({ code: 'misfit', object: key, message: `${shown(file.path)}: ${headerFault}` });
    const wanted = manifest?.get(pathKey(file.path))?.checksum;
    if (wanted !== undefined && (wanted.algorithm !== 'SHA256' || wanted.hex !== digest)) {
      mismatch(`${shown(file.path)} has the SHA-256 ${digest}, the manifest says ${wanted.algorithm} ${wanted.hex}`);
    }
  };
  const check = new PartCheck({ object: `${url}/${key}`, stored, frames, onFile });
  for await (const chunk of opened.chunks) check.write(chunk);
  const tail = check.end();
  report.checked(opened.info.bytes);
  const name = key.slice('backup/'.length);
  if (tail.name !== name || tail.kind !== kind || tail.systemId !== String(record.server.systemId)) {
    report.problem({
      code: 'misfit',
      object: key,
      message: `it says that it is ${tail.name} of cluster ${tail.systemId}`,
    });
  }
}

/** Runs a check of one object: what is wrong with it alone is reported, and the rest goes on. */
async function trusted<T>(scope: VerifyScope, key: string, check: () => Promise<T>): Promise<T | undefined> {
  try {
    return await check();
  } catch (error) {
    if (!concernsOneObject(error)) throw error;
    scope.report.problem(problemOf(error, key));
    return undefined;
  }
}

/** No two paths share a key: no path of text contains a zero byte. */
function pathKey(path: string | Buffer): string {
  return typeof path === 'string' ? path : `\0${path.toString('hex')}`;
}

function shown(path: string | Buffer): string {
  return JSON.stringify(path.toString());
}
