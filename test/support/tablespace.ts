import type { Cluster } from './cluster.ts';

/** Makes a tablespace in the cluster's place and returns its folder. */
export async function createTablespace(cluster: Cluster, name: string): Promise<string> {
  const folder = await cluster.place.folder(`tablespace-${name}`);
  await cluster.query(`create tablespace ${name} location '${folder}'`);
  return folder;
}
