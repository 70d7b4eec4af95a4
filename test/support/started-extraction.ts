import type { Archived } from './archived-cluster.ts';
import { Cluster } from './cluster.ts';
import { recoverFromArchive } from './recovery.ts';

/** The extraction of a backup as a running server that has replayed the archive; tablespaces are put beside it. */
export async function startedExtraction(archived: Archived, folder: string): Promise<Cluster> {
  const copy = await Cluster.over(folder, { major: archived.cluster.postgres.major, name: 'extracted' });
  const place = `
    cd "$1" && { [ ! -e tablespace_map ] || while read -r oid path; do
      mv "pg_tblspc/$oid" "$2/$oid" && sed -i "s|^$oid .*|$oid $2/$oid|" tablespace_map || exit 1
    done < tablespace_map; }`;
  await copy.runOk(['sh', '-c', place, 'sh', folder, copy.place.path]);
  await recoverFromArchive(copy, { config: archived.config });
  await copy.start();
  await copy.waitUntilPromoted();
  return copy;
}
