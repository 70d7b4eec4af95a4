import { join } from 'node:path';
import { replaceDurably } from '../../base/durable.ts';
import { WalholdError } from '../../base/errors.ts';
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import type { TarEntry } from '../../stream/untar.ts';
import { ownerFor } from './owner.ts';
import { makeDirectory, MARKER_NAME, requireEmpty, requireSpace, type Owner } from './target-directory.ts';
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
  await makeDirectory(dataDirectory, owner);
  await replaceDurably(join(dataDirectory, MARKER_NAME), MARKER_TEXT, 0o600);
  for (const { to } of tablespaces) await makeDirectory(to, owner);
  return { dataDirectory, owner, tablespaces };
}

const MARKER_TEXT = `walhold restore has begun to fill this directory and has not ended.
No server can start on it: global/pg_control comes last. Remove the contents, and restore again.
`;

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
