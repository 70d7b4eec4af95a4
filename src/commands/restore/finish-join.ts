import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError } from '../../base/errors.ts';
import { withoutIncrementalLines } from '../../postgres/full-label.ts';
import { joinedManifest } from '../../postgres/joined-manifest.ts';
import { sha256 } from '../../stream/checksum.ts';
import { writeOwned } from './finish-target.ts';
import type { JoinedFile } from './joined-files.ts';
import type { OpenedChain } from './open-chain.ts';
import type { Target } from './prepare-target.ts';

/**
 * Makes what was joined a full backup: its label loses the lines of an incremental one. Answers the manifest: the stored one of a full
 * backup, else one of the joined files, which pg_verifybackup accepts. `undefined`: some files are of zeros, and there is none.
 */
export async function finishJoin(
  { dataDirectory, owner }: Pick<Target, 'dataDirectory' | 'owner'>,
  {
    parent,
    manifest,
    manifestBytes,
    selection,
  }: Pick<OpenedChain, 'parent' | 'manifest' | 'manifestBytes' | 'selection'>,
  joined: ReadonlyMap<string, JoinedFile>,
): Promise<Buffer | undefined> {
  const isWhole = selection === undefined || selection.blanks.length === 0;
  if (parent === undefined) return isWhole ? manifestBytes : undefined;
  const path = join(dataDirectory, 'backup_label');
  let stored: Buffer;
  try {
    stored = await readFile(path);
  } catch (error) {
    throw ioError(`could not read ${path}`, error);
  }
  const label = withoutIncrementalLines(stored);
  await writeOwned(path, label, owner);
  if (!isWhole) return undefined;
  return joinedManifest(
    manifest,
    new Map([...joined, ['backup_label', { size: label.length, sha256: sha256(label) }]]),
  );
}
