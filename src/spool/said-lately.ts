import { lstat, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shortName } from './known-repositories.ts';

const HOUR_MS = 3_600_000;

/**
 * Whether a call of this user said so within the last hour; if not, the next ones are told that this one does. For what is wrong with the
 * spool itself, which can remember nothing: an empty file in the directory for temporary files, believed only if it is this user's. Where
 * none can be made, everybody says so. `now`: milliseconds since 1970.
 */
export async function saidLately(what: string, now: number): Promise<boolean> {
  const uid = process.getuid?.();
  const path = join(tmpdir(), `walhold-${uid}-${shortName(what)}`);
  try {
    const found = await lstat(path).catch(() => undefined);
    const isOurs = found?.isFile() === true && found.uid === uid;
    if (isOurs && found.mtimeMs <= now && now - found.mtimeMs < HOUR_MS) return true;
    if (isOurs) await unlink(path);
    // Neither through a link nor over another's file.
    await (await open(path, 'wx', 0o600)).close();
  } catch {
    // Said too often does less harm than never.
  }
  return false;
}
