import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';

/** As the kernel cuts it (`/proc/PID/comm`). */
const SERVER_NAMES: ReadonlySet<string> = new Set(['postgres', 'postmaster', 'edb-postgres']);

/**
 * The process of a server on this host that works in one of these places: its data directory (a server stays in it), or a tablespace that
 * it links to. Sees what `postmaster.pid` does not tell: a removed one, or the server whose directory this is a copy of.
 * `undefined`: none that this user may see. `proc`: where the kernel tells of processes.
 */
export async function serverUsing(places: readonly string[], proc = '/proc'): Promise<number | undefined> {
  const wanted = new Set(await Promise.all(places.map(real)));
  for (const pid of (await readdir(proc).catch((): string[] => [])).filter((name) => /^[1-9][0-9]*$/.test(name))) {
    const home = await readlink(join(proc, pid, 'cwd')).catch(() => undefined);
    if (home === undefined || !(await isServer(join(proc, pid, 'comm')))) continue;
    if (wanted.has(home)) return Number(pid);
    const links = join(home, 'pg_tblspc');
    for (const oid of await readdir(links).catch((): string[] => [])) {
      if (wanted.has(await real(join(links, oid)))) return Number(pid);
    }
  }
  return undefined;
}

async function isServer(comm: string): Promise<boolean> {
  const name = await readFile(comm, 'latin1').catch(() => '');
  return SERVER_NAMES.has(name.trimEnd());
}

async function real(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}
