import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { shortName } from './known-repositories.ts';
import type { Role } from './service.ts';
import { makeSpoolDirectory } from './spool.ts';

/**
 * A directory for one worker's answers alone: nothing that another one left can be among them. Those of earlier workers go. `owner`: the
 * data directory, since clusters may have been given one spool. Absolute.
 */
export async function newAnswers(spool: string, role: Role, owner: string): Promise<string> {
  const prefix = `${role}-${shortName(owner)}-`;
  await makeSpoolDirectory(spool);
  for (const name of await readdir(spool)) {
    if (name.startsWith(prefix)) await rm(join(spool, name), { recursive: true, force: true });
  }
  const path = join(spool, prefix + randomBytes(8).toString('hex'));
  await mkdir(path, { mode: 0o700 });
  return path;
}
