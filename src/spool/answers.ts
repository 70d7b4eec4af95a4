import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { shortName } from './known-repositories.ts';
import type { Role } from './service.ts';
import { makeSpoolDirectory } from './spool.ts';

/** A directory for one worker's answers alone. `owner`: the data directory, since clusters may have been given one spool. Absolute. */
export async function newAnswers(spool: string, role: Role, owner: string): Promise<string> {
  await makeSpoolDirectory(spool);
  const path = join(spool, prefixOf(role, owner) + randomBytes(8).toString('hex'));
  await mkdir(path, { mode: 0o700 });
  return path;
}

/** Removes the answers that earlier workers of this owner left, of whichever role; `inUse` are paths. */
export async function clearAnswers(spool: string, owner: string, inUse: readonly string[]): Promise<void> {
  await makeSpoolDirectory(spool);
  const prefixes = (['push', 'fetch'] as const).map((role) => prefixOf(role, owner));
  for (const name of await readdir(spool)) {
    const path = join(spool, name);
    const isLeft = prefixes.some((prefix) => name.startsWith(prefix)) && !inUse.includes(path);
    if (isLeft) await rm(path, { recursive: true, force: true });
  }
}

function prefixOf(role: Role, owner: string): string {
  return `${role}-${shortName(owner)}-`;
}
