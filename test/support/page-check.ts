import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkPages } from '../../src/postgres/page-checksum.ts';
import type { Cluster } from './cluster.ts';

const PAGE_BYTES = 8192;
const RELATION = /^(\d+)(_fsm|_vm|_init)?(\.\d+)?$/;

/** How many pages of relations a stopped cluster has on disk, and the places of those whose checksum is wrong. */
export async function checkAllPages(cluster: Cluster): Promise<{ pages: number; bad: string[] }> {
  if (cluster.isRunning) throw new Error('the server runs, its files may be torn');
  let pages = 0;
  const bad: string[] = [];
  const spaces = (await readdir(join(cluster.dataDir, 'pg_tblspc'))).map((oid) => `pg_tblspc/${oid}`);
  for (const top of ['base', 'global', ...spaces]) {
    // With a slash at its end a tablespace's link is followed.
    const entries = await readdir(`${join(cluster.dataDir, top)}/`, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((one) => one.isFile() && RELATION.test(one.name))) {
      const path = join(entry.parentPath, entry.name);
      const bytes = await readFile(path);
      pages += Math.floor(bytes.length / PAGE_BYTES);
      bad.push(...checkPages(bytes, 0, PAGE_BYTES).map((page) => `${path}: page ${page}`));
    }
  }
  return { pages, bad };
}
