import { createHash } from 'node:crypto';
import { chown, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresBinaries } from '../../scripts/find-postgres.ts';
import type { Account } from '../../scripts/server-user.ts';
import { makeOnce, sharedPlace } from '../../scripts/shared-place.ts';
import { runOk } from './run.ts';

const PREFIX = 'initdb-';

/** Their names say the day, and no copy takes longer than one. */
const KEPT_MS = 2 * 86_400_000;

/**
 * A data directory as `initdb` with these arguments leaves it, to be copied, never started: each initdb takes a processor for a second
 * or more. It is made once a day (who cleans temporary folders takes old files out of it) for each account, server and list of arguments.
 */
export async function clusterTemplate(
  { bin, major }: PostgresBinaries,
  account: Account,
  args: readonly string[],
): Promise<string> {
  const { size, mtimeMs } = await stat(join(bin, 'postgres'));
  const made = JSON.stringify([bin, size, mtimeMs, account.uid, args]);
  const digest = createHash('sha256').update(made).digest('hex').slice(0, 16);
  const day = new Date().toISOString().slice(0, 10);
  const shared = await sharedPlace();
  const folder = await makeOnce(join(shared, `${PREFIX}${day}-${major}-${digest}`), async (fresh) => {
    await removeOld(shared);
    const data = join(fresh, 'data');
    await mkdir(data, { mode: 0o700 });
    await chown(data, account.uid, account.gid);
    await runOk(account, [join(bin, 'initdb'), '-D', data, ...args]);
  });
  return join(folder, 'data');
}

async function removeOld(shared: string): Promise<void> {
  const kept = new Date(Date.now() - KEPT_MS).toISOString().slice(0, 10);
  for (const name of await readdir(shared)) {
    const isOld = name.startsWith(PREFIX) && name.slice(PREFIX.length) < kept;
    if (isOld) await rm(join(shared, name), { recursive: true, force: true });
  }
}
