import { stat } from 'node:fs/promises';
import { mapParallel } from '../base/parallel.ts';
import { hasCode, WalholdError } from '../base/errors.ts';
import type { ControlFile } from '../postgres/control-file.ts';
import { problemOf } from '../repository/verify-problem.ts';
import { pushInto } from '../repository/wal-archive.ts';
import { prepareWal, type PreparedWal } from '../repository/wal-object.ts';
import type { LocalWalFile } from '../server/pg-wal.ts';
import type { CommandContext } from './command-context.ts';
import type { PushFailure } from './push-failure.ts';
import type { PushTarget } from './push-targets.ts';
import { readWalFile } from './read-wal-file.ts';

/** Stores each file where it is lacking, `jobs` at a time; one that fails does not stop the others, a store that is down is left alone. */
export async function storeMissing(
  files: readonly LocalWalFile[],
  targets: readonly PushTarget[],
  { control }: { control: ControlFile },
  context: CommandContext,
): Promise<{ pushed: string[]; failures: PushFailure[] }> {
  const down = new Set<PushTarget>();
  const failures: PushFailure[] = [];
  const storeOne = async (local: LocalWalFile): Promise<string | undefined> => {
    const { name } = local.file;
    const wal = await prepared(local, control, context).catch((error: unknown) => {
      failures.push({ name, repository: 0, message: problemOf(error, name).message });
    });
    if (wal === undefined) return undefined;
    for (const warning of wal.warnings) context.log.warning(`${name}: ${warning}`);
    let whole = true;
    for (const target of targets.filter((one) => one.lacks(local.file))) {
      if (down.has(target)) whole = false;
      else {
        const failure = await storeInto(target, wal, context, down);
        if (failure !== undefined) failures.push(failure);
        whole &&= failure === undefined;
      }
    }
    return whole ? name : undefined;
  };
  const names = await mapParallel(files, context.config.jobs, storeOne);
  return { pushed: names.filter((name) => name !== undefined), failures };
}

async function storeInto(
  target: PushTarget,
  wal: PreparedWal,
  { signal, log }: CommandContext,
  down: Set<PushTarget>,
): Promise<PushFailure | undefined> {
  try {
    await pushInto(target.repository, wal, { signal, log });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    if (hasCode(error, 'unreachable', 'denied', 'store-gone')) down.add(target);
    const { name } = wal.file;
    return { name, repository: target.repository.number, message: problemOf(error, name).message };
  }
}

async function prepared(local: LocalWalFile, control: ControlFile, context: CommandContext): Promise<PreparedWal> {
  const before = await stat(local.path);
  const plain = await readWalFile(local.path);
  const after = await stat(local.path).catch(() => undefined);
  if (after?.ino !== before.ino || after.mtimeMs !== before.mtimeMs) {
    throw new WalholdError('refused', `${local.file.name} was renamed or written while it was read`, {
      hint: 'The server has recycled it: it believed that it was archived.',
    });
  }
  const at = new Date(context.clock.now());
  const { compressLevel: level } = context.config;
  return prepareWal(local.file, plain, { cluster: control, level, by: context.by, at });
}
