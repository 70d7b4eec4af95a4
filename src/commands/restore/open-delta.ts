import type { BackupSummary } from '../../repository/backups.ts';
import { findReplaceable, requireUnused, withLinkedPlaces, type ReplaceableDirectory } from './replaceable.ts';
import { placeTablespaces, type PlacedTablespace, type TablespaceMapping } from './tablespace-mapping.ts';
import { requireEmpty } from './target-directory.ts';
import type { TargetRoot } from './walk-target.ts';

/** A directory whose files are kept where they are the backup's. */
export interface Delta {
  directory: ReplaceableDirectory;
  tablespaces: readonly PlacedTablespace[];
  /** What may be read, and removed from. */
  roots: readonly TargetRoot[];
}

/** `undefined`: there is nothing to be kept, and the restore is one into an empty directory. Throws `refused`, `usage` or `io`. */
export async function openDelta(
  dataDirectory: string,
  { server, tablespaces: recorded }: Pick<BackupSummary, 'server' | 'tablespaces'>,
  { mappings, isAlive }: { mappings: readonly TablespaceMapping[]; isAlive: (pid: number) => boolean },
): Promise<Delta | undefined> {
  const directory = await findReplaceable({ dataDirectory, systemId: server.systemId, recorded, isAlive });
  if (directory === undefined) return undefined;
  const tablespaces = placeTablespaces(recorded, withLinkedPlaces(recorded, mappings, directory), dataDirectory);
  for (const { oid, to } of tablespaces) {
    if (directory.tablespaces.get(oid) !== to) await requireEmpty(to, 'the tablespace directory', isAlive);
  }
  await requireUnused(tablespaces);
  // A tablespace may be shared with other versions, and only this folder of it is the cluster's.
  const version = `PG_${server.major}_${server.catalogVersion}`;
  const spaces = tablespaces.map(({ oid, to }) => ({
    path: `${to}/${version}`,
    prefix: `pg_tblspc/${oid}/${version}`,
  }));
  return { directory, tablespaces, roots: [{ path: dataDirectory, prefix: '' }, ...spaces] };
}
