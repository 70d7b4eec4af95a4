import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, ioError, WalholdError } from '../../base/errors.ts';
import { backupId, backupPrefix, partKey, type BackupId } from '../../repository/layout.ts';
import { beginObject, type BackupRun } from './backup-run.ts';
import type { CopiedFrame, FinishedPart } from './thread-protocol.ts';
import { writeMembers, type Member } from './write-members.ts';

export interface ClaimedBackup {
  id: BackupId;
  /** Part 1, stored. */
  part: FinishedPart;
  frame: CopiedFrame;
}

/** Every data directory has it, and it never changes. */
const CLAIM_PATH = 'PG_VERSION';
/** Seconds that may be taken one after another before something else must be wrong. */
const MOST_TRIES = 60;

/**
 * A name of our own: part 1, which holds `PG_VERSION` alone, is created at once, and creating is what only one can do. A second
 * that another backup has taken, finished or not, is left to it. With a `parent` the name is that of an incremental backup, behind it.
 */
export async function claimId(run: BackupRun, parent: BackupId | undefined): Promise<ClaimedBackup> {
  const { clock } = run.context;
  const number = run.counters.nextPart();
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const now = clock.now();
    const id = backupId(new Date(now), parent === undefined ? 'full' : 'incremental');
    const isFree = (parent === undefined || parent < id) && !(await isTaken(run, id));
    const claimed = !isFree ? undefined : await tryClaim(run, id, number, new Date(now));
    if (claimed !== undefined) return claimed;
    run.context.log.debug(`the name ${id} is taken`);
    await clock.sleep(1000 - (now % 1000), run.signal);
  }
  throw new WalholdError('conflict', `could not find a free name for the backup in ${MOST_TRIES} seconds`);
}

async function isTaken({ repositories, signal }: BackupRun, id: BackupId): Promise<boolean> {
  for (const { store } of repositories) {
    for await (const _ of store.list(backupPrefix(id), { signal, limit: 1 })) return true;
  }
  return false;
}

/** One repository after another: of two backups in the same second, the first to have it in the first repository has it. */
async function tryClaim(run: BackupRun, id: BackupId, number: number, at: Date): Promise<ClaimedBackup | undefined> {
  const member = claimMember(run.source.dataDirectory);
  let claimed: ClaimedBackup | undefined;
  for (const { store } of run.repositories) {
    const object = { id, key: partKey(id, number), kind: 'backup-part' as const, at, stores: [store] };
    const writer = beginObject(run, object);
    const frame = writeMembers([member], { writer, part: number, names: run.names });
    try {
      claimed = { id, frame, part: { part: number, ...(await writer.finish()) } };
    } catch (error) {
      if (hasCode(error, 'conflict')) return undefined;
      throw error;
    }
  }
  return claimed;
}

function claimMember(dataDirectory: string): Member {
  const path = join(dataDirectory, CLAIM_PATH);
  try {
    const { mode, uid, gid, mtimeMs } = statSync(path);
    return { path: CLAIM_PATH, content: readFileSync(path), mode, uid, gid, modifiedAt: Math.floor(mtimeMs / 1000) };
  } catch (error) {
    throw ioError(`could not read ${path}`, error);
  }
}
