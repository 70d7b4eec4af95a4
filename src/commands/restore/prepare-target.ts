import { lstat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../../base/durable.ts';
import { ioError, systemCode, WalholdError } from '../../base/errors.ts';
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import type { TarEntry } from '../../stream/untar.ts';
import { ownerFor } from './owner.ts';
import type { Delta } from './open-delta.ts';
import { findReplaceable } from './replaceable.ts';
import { writeMarker } from './restore-marker.ts';
import { makeDirectory, requireEmpty, requireSpace, type Owner } from './target-directory.ts';
import { placeTablespaces, type PlacedTablespace, type TablespaceMapping } from './tablespace-mapping.ts';

/** Under this name `global/pg_control` waits until everything else is on disk: without it no server starts. */
export const HELD_BACK: { readonly path: string; readonly as: string } = {
  path: CONTROL_FILE_PATH,
  as: `${CONTROL_FILE_PATH}.walhold`,
};

export interface Target {
  dataDirectory: string;
  owner: Owner | undefined;
  tablespaces: readonly PlacedTablespace[];
}

export interface PrepareInput {
  record: BackupRecord;
  /** Bytes by tablespace: its OID, or empty. */
  needs: ReadonlyMap<string, number>;
  dataDirectory: string;
  mappings: readonly TablespaceMapping[];
  isAlive: (pid: number) => boolean;
  uid: number;
  /** Asked only where root must find out whose the files were. */
  readFirstEntry: () => Promise<TarEntry>;
}

/** Checks everything that can be checked before a byte is written, then makes the directories. Throws `refused`, `usage` or `io`. */
export async function prepareTarget(input: PrepareInput): Promise<Target> {
  const { record, dataDirectory, isAlive, uid } = input;
  requireWhole(record);
  const found = await requireEmpty(dataDirectory, 'the directory', isAlive);
  const tablespaces = placeTablespaces(record.tablespaces, input.mappings, dataDirectory);
  for (const { to } of tablespaces) await requireEmpty(to, 'the tablespace directory', isAlive);
  await requireSpace(spaceNeeds(input.needs, dataDirectory, tablespaces));
  const owner =
    uid === 0 ? ownerFor({ uid, directory: found.owner, recorded: await input.readFirstEntry() }) : undefined;
  await makeAll({ dataDirectory, owner, tablespaces }, record);
  return { dataDirectory, owner, tablespaces };
}

/**
 * The same for a directory whose files are kept where they fit: from now on no server starts there. `freed`: bytes that come free, by root.
 */
export async function prepareDelta(
  input: PrepareInput,
  { directory, tablespaces }: Delta,
  freed: ReadonlyMap<string, number> | undefined,
): Promise<Target> {
  const { record, dataDirectory, uid, isAlive } = input;
  requireWhole(record);
  // It was looked at for a while.
  const now = await findReplaceable({
    dataDirectory,
    systemId: record.server.systemId,
    recorded: record.tablespaces,
    isAlive,
  });
  if (now?.control !== directory.control) {
    throw new WalholdError('refused', `${dataDirectory} has changed while it was compared with the backup`, {
      hint: 'Keep its server stopped, and run it again.',
    });
  }
  await requireSpace(spaceNeeds(input.needs, dataDirectory, tablespaces), freed);
  const owner =
    uid === 0 ? ownerFor({ uid, directory: directory.owner, recorded: await input.readFirstEntry() }) : undefined;
  await makeAll({ dataDirectory, owner, tablespaces }, record);
  await removeControlFile(dataDirectory);
  return { dataDirectory, owner, tablespaces };
}

/** The marker first: from it a second attempt knows whose the directory is. */
async function makeAll({ dataDirectory, owner, tablespaces }: Target, { server }: BackupRecord): Promise<void> {
  await makeDirectory(dataDirectory, owner);
  const places = tablespaces.map(({ oid, to }) => ({ oid, path: to }));
  await writeMarker(dataDirectory, { systemId: server.systemId, tablespaces: places });
  for (const { to } of tablespaces) await makeDirectory(to, owner);
}

async function removeControlFile(dataDirectory: string): Promise<void> {
  const folder = join(dataDirectory, 'global');
  try {
    // A link leads elsewhere, and is removed itself with all that the backup does not have.
    if (!(await lstat(folder)).isDirectory()) return;
    await unlink(join(dataDirectory, CONTROL_FILE_PATH));
    await syncDirectory(folder);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw ioError(`could not remove ${CONTROL_FILE_PATH}`, error);
  }
}

/** Without its label a server would take the copy for a crashed one, and be wrong. */
function requireWhole(record: BackupRecord): void {
  const wanted = new Set([CONTROL_FILE_PATH, 'backup_label', 'PG_VERSION']);
  for (const { frames } of record.parts) {
    for (const { files } of frames) for (const { path } of files) if (typeof path === 'string') wanted.delete(path);
  }
  const [missing] = wanted;
  if (missing === undefined) return;
  throw new WalholdError('damaged', `backup ${record.id} is not whole: it lacks ${missing}`, {
    hint: 'Restore another backup.',
  });
}

/** Bytes by directory. */
function spaceNeeds(
  byTablespace: ReadonlyMap<string, number>,
  dataDirectory: string,
  tablespaces: readonly PlacedTablespace[],
): Map<string, number> {
  const places = new Map(tablespaces.map(({ oid, to }) => [oid, to]));
  const needs = new Map<string, number>();
  for (const [oid, bytes] of byTablespace) {
    const place = places.get(oid) ?? dataDirectory;
    needs.set(place, (needs.get(place) ?? 0) + bytes);
  }
  return needs;
}
