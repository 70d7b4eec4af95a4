/** What `--delta` does with the files that lie there. */
import type { CommandContext } from '../command-context.ts';
import type { SizedFile } from './disk-protocol.ts';
import { settleFiles } from './disk-pool.ts';
import type { Delta } from './open-delta.ts';
import { HELD_BACK, type Target } from './prepare-target.ts';
import { clearTarget, type Survey } from './survey-target.ts';

/** Takes away what is not kept. */
export async function clearForDelta(
  { signal }: CommandContext,
  { roots }: Delta,
  { tablespaces, owner }: Target,
  survey: Survey,
): Promise<void> {
  await clearTarget({ roots, outside: tablespaces.map(({ oid }) => oid), owner, signal }, survey);
}

/** Makes what is kept like what is restored: its owner, its modes, and that it is on disk. */
export async function settleKept(
  { config, signal }: CommandContext,
  { dataDirectory, owner, tablespaces }: Target,
  { files, groupReads }: { files: readonly SizedFile[]; groupReads: boolean },
): Promise<void> {
  if (files.length === 0) return;
  const places = tablespaces.map(({ oid, to }) => ({ oid, path: to }));
  const input = { dataDirectory, tablespaces: places, owner, heldBack: HELD_BACK, groupReads };
  await settleFiles(files, { input, jobs: config.jobs, signal });
}
