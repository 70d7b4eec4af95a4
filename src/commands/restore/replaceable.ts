/** Whether `--delta` may work in a directory: what lies there is looked at, and nothing is changed. */
import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, reasonOf, systemCode, WalholdError } from '../../base/errors.ts';
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts';
import { parseWalName } from '../../postgres/wal-name.ts';
import type { TablespaceRecord } from '../../repository/backup-record.ts';
import { readControlFile, readPostmaster } from '../../server/data-directory.ts';
import { serverUsing } from '../../server/running-server.ts';
import { readMarker } from './restore-marker.ts';
import type { Owner } from './target-directory.ts';
import type { PlacedTablespace, TablespaceMapping } from './tablespace-mapping.ts';

/** A data directory of the backup's own cluster, without a server. */
export interface ReplaceableDirectory {
  owner: Owner;
  /** Changes whenever a server was started there; `undefined`: there is no `pg_control`. */
  control: string | undefined;
  /** Where its tablespaces lie, by OID: absolute. */
  tablespaces: ReadonlyMap<string, string>;
}

export interface ReplaceInput {
  dataDirectory: string;
  /** Of the backup. */
  systemId: bigint;
  recorded: readonly TablespaceRecord[];
  isAlive: (pid: number) => boolean;
}

/** `undefined`: it is missing or empty, so there is nothing to be kept. Throws `refused` for all that must not be touched. */
export async function findReplaceable(input: ReplaceInput): Promise<ReplaceableDirectory | undefined> {
  const { dataDirectory } = input;
  let owner: Owner;
  try {
    if ((await readdir(dataDirectory)).length === 0) return undefined;
    const { uid, gid } = await stat(dataDirectory);
    owner = { uid, gid };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not look into the directory ${dataDirectory}`, error);
  }
  await requireStopped(input);
  const marker = await readMarker(dataDirectory);
  await requireOwnCluster(input, marker?.systemId);
  const linked = await linkedTablespaces(dataDirectory);
  requireKnown(linked, input, marker !== undefined);
  if (marker === undefined) await requireArchived(dataDirectory);
  const control = await controlStamp(dataDirectory);
  return { owner, control, tablespaces: new Map([...(marker?.tablespaces ?? []).map(placeOf), ...linked]) };
}

/** The tablespaces stay where they lie, unless they are mapped. */
export function withLinkedPlaces(
  recorded: readonly TablespaceRecord[],
  mappings: readonly TablespaceMapping[],
  { tablespaces }: ReplaceableDirectory,
): TablespaceMapping[] {
  const linked = recorded.flatMap(({ oid, path }) => {
    const to = tablespaces.get(oid);
    return to === undefined ? [] : [{ from: path.length > 1 ? path.replace(/\/+$/, '') : path, to }];
  });
  // The last one counts.
  return [...linked, ...mappings];
}

async function requireStopped({ dataDirectory, isAlive }: ReplaceInput): Promise<void> {
  const postmaster = await readPostmaster(dataDirectory);
  const pid = postmaster !== undefined && isAlive(postmaster.pid) ? postmaster.pid : await serverUsing([dataDirectory]);
  if (pid === undefined) return;
  throw refused(
    `a server is running in ${dataDirectory} (process ${pid})`,
    'Stop it first; if that process is no server, remove postmaster.pid.',
  );
}

async function requireOwnCluster({ dataDirectory, systemId }: ReplaceInput, marked: bigint | undefined): Promise<void> {
  const hint = 'Name the data directory of the cluster that the backup is of, or a new or empty one.';
  let found: bigint | undefined;
  try {
    found = (await readControlFile(dataDirectory))?.systemId ?? marked;
  } catch (error) {
    if (marked === undefined) throw refused(`could not tell whose ${dataDirectory} is`, hint, reasonOf(error));
    found = marked;
  }
  if (found === undefined) throw refused(`${dataDirectory} is no data directory: it has no global/pg_control`, hint);
  if (found === systemId) return;
  throw refused(
    `${dataDirectory} belongs to another cluster`,
    hint,
    `its system identifier is ${found}, that of the backup is ${systemId}`,
  );
}

async function controlStamp(dataDirectory: string): Promise<string | undefined> {
  const stats = await stat(join(dataDirectory, CONTROL_FILE_PATH), { bigint: true }).catch(() => undefined);
  return stats === undefined ? undefined : `${stats.mtimeNs} ${stats.ino}`;
}

/** Where the links in `pg_tblspc` lead. */
async function linkedTablespaces(dataDirectory: string): Promise<Map<string, string>> {
  const folder = join(dataDirectory, 'pg_tblspc');
  const found = new Map<string, string>();
  for (const oid of await readdir(folder).catch((): string[] => [])) {
    const to = /^[1-9][0-9]{0,9}$/.test(oid) ? await readlink(join(folder, oid)).catch(() => undefined) : undefined;
    if (to?.startsWith('/') === true) found.set(oid, to.length > 1 ? to.replace(/\/+$/, '') : to);
  }
  return found;
}

/**
 * A tablespace that is younger than the backup may come back in the recovery, and then on files of its future, which replay takes for its
 * own. They lie outside, where nothing is removed that the backup does not name.
 */
function requireKnown(
  linked: ReadonlyMap<string, string>,
  { dataDirectory, recorded }: ReplaceInput,
  begun: boolean,
): void {
  const unknown = [...linked].find(([oid]) => !recorded.some((one) => one.oid === oid));
  if (unknown === undefined || begun) return;
  const [oid, path] = unknown;
  throw refused(
    `${dataDirectory} has tablespace ${oid} at ${path}, which the backup does not have`,
    `Move what lies in ${path} away and remove the link pg_tblspc/${oid}, then run it again.`,
  );
}

/** What waits for the archiver is nowhere else, and the restore empties pg_wal. */
async function requireArchived(dataDirectory: string): Promise<void> {
  const names = await readdir(join(dataDirectory, 'pg_wal/archive_status')).catch((): string[] => []);
  const waiting = names
    .filter((name) => name.endsWith('.ready'))
    .map((name) => name.slice(0, -'.ready'.length))
    .filter((name) => parseWalName(name) !== undefined && !name.endsWith('.backup'))
    .toSorted();
  if (waiting.length === 0) return;
  throw refused(
    `${dataDirectory} holds WAL that is not archived yet, and it would be lost`,
    `Store it with "walhold wal push -D ${dataDirectory}"; if it is not wanted, remove pg_wal/archive_status/*.ready.`,
    `${waiting.length} files, the first is ${waiting[0] ?? ''}`,
  );
}

/** A copy of a data directory still links to the tablespaces of the original, which may be running. */
export async function requireUnused(tablespaces: readonly PlacedTablespace[]): Promise<void> {
  const pid = await serverUsing(tablespaces.map(({ to }) => to));
  if (pid === undefined) return;
  throw refused(
    `a running server (process ${pid}) uses one of the tablespaces: ${tablespaces.map(({ to }) => to).join(', ')}`,
    'Map them to new or empty directories with -T OLD=NEW.',
  );
}

function placeOf({ oid, path }: { oid: string; path: string }): [string, string] {
  return [oid, path];
}

function refused(message: string, hint: string, detail?: string): WalholdError {
  return new WalholdError('refused', message, { hint, ...(detail === undefined ? {} : { detail }) });
}
