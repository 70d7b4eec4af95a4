/** One backup in one repository: its record, its objects by name and size, its manifest, and the contents of its parts. */
import { mapParallel } from '../base/parallel.ts';
import { parseManifest, type ManifestEntry, type ParsedManifest } from '../postgres/manifest-reader.ts';
import { pathKey } from '../postgres/path-key.ts';
import { sha256 } from '../stream/checksum.ts';
import { readAuthentic } from './authentic.ts';
import { findObjects, objectsOf, type StreamedObject } from './backup-objects.ts';
import type { BackupRecord } from './backup-record.ts';
import { readRecord } from './backups.ts';
import { commitKey, manifestKey, type BackupId } from './layout.ts';
import { decodeObject } from './object-codec.ts';
import type { Repository } from './repository.ts';
import { concernsOneObject, problemOf, type Problem } from './verify-problem.ts';
import { readHere } from './verify-reader.ts';
import { inSlice, type VerifyScope } from './verify-scope.ts';

/** Half a million files and more. */
export const MANIFEST_MAX_BYTES: number = 512 * 1024 * 1024;

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
  const record = await trusted(scope, commitKey(id), () =>
    readRecord(repository, id, { signal: scope.signal, systemId: expected.systemId }),
  );
  if (record === undefined) return undefined;
  if (record.server.systemId !== expected.systemId) {
    const message = `it is of cluster ${record.server.systemId}, not ${expected.systemId}`;
    scope.report.problem({ code: 'misfit', object: commitKey(id), message });
  }
  const objects = objectsOf(record);
  const { there, problems, unknown } = await findObjects(repository, id, objects, scope);
  for (const problem of problems) scope.report.problem(problem);
  for (const key of unknown) scope.report.warning(`${key} belongs to no backup`);
  if (scope.slice === undefined) return record;
  const manifest = await verifyManifest(repository, record, scope);
  const wanted = objects.filter(({ key }) => there.has(key) && inSlice(scope.slice, key));
  const found = await mapParallel(
    wanted,
    scope.jobs,
    async (object) => await verifyPart(repository, record, object, manifest, scope),
  );
  for (const problem of found.flat()) scope.report.problem(problem);
  return record;
}

/** The files of the manifest by path; `undefined`: it cannot be trusted, or is not there. */
async function verifyManifest(
  { store, url }: Repository,
  record: BackupRecord,
  scope: VerifyScope,
): Promise<ReadonlyMap<string, ManifestEntry> | undefined> {
  const key = manifestKey(record.id);
  return await trusted(scope, key, async () => {
    const accepts = ({ misfits }: { misfits: readonly string[] }): boolean => misfits.length === 0;
    const reading = { signal: scope.signal, accepts, maxBytes: MANIFEST_MAX_BYTES };
    const found = await readAuthentic(store, key, reading, ({ bytes }) => {
      const { head, plain } = decodeObject(bytes, `${url}/${key}`, MANIFEST_MAX_BYTES);
      scope.report.checked(bytes.length);
      const misfits: string[] = [];
      if (head.name !== `${record.id}/backup_manifest` || head.kind !== 'backup-manifest')
        misfits.push(`it says that it is ${head.name}`);
      if (sha256(plain) !== record.manifest.sha256)
        misfits.push('it is not the manifest that the backup was committed with');
      return { misfits, manifest: parseManifest(plain) };
    });
    if (found === undefined) return undefined;
    for (const message of found.misfits) scope.report.problem({ code: 'misfit', object: key, message });
    for (const message of manifestMismatches(record, found.manifest)) {
      scope.report.problem({ code: 'manifest-mismatch', object: key, message });
    }
    return new Map(found.manifest.files.map((file) => [pathKey(file.path), file]));
  });
}

/** Files that only one of record and manifest has, or with another size; the range of WAL. */
function* manifestMismatches(record: BackupRecord, manifest: ParsedManifest): Generator<string> {
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
  repository: Repository,
  record: BackupRecord,
  object: StreamedObject,
  manifest: ReadonlyMap<string, ManifestEntry> | undefined,
  scope: VerifyScope,
): Promise<readonly Problem[]> {
  const files = (object.frames ?? []).flatMap((frame) => frame.files);
  const checksums = files.map(({ path }) => manifest?.get(pathKey(path))?.checksum);
  const reader = scope.reader ?? readHere(scope);
  const question = { ...object, systemId: record.server.systemId, checksums };
  const { problems, read } = await reader.part(repository, question);
  for (const bytes of read) scope.report.checked(bytes);
  return problems;
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

function shown(path: string | Buffer): string {
  return JSON.stringify(path.toString());
}
