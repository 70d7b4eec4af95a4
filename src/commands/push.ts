/** `archive_command`: one WAL file into every repository. */
import { basename, resolve } from 'node:path';
import { hasCode, WalholdError } from '../base/errors.ts';
import { parseWalName, type WalFile } from '../postgres/wal-name.ts';
import { prepareWal } from '../repository/wal-object.ts';
import { clearError, noteError, readError } from '../spool/last-error.ts';
import { saidLately } from '../spool/said-lately.ts';
import { abortable } from '../store/abortable.ts';
import { deadlineAfter } from './deadline.ts';
import { engageWorker, untilServed } from './engage-worker.ts';
import type { HookContext } from './hook-context.ts';
import { openLocalCluster } from './local-cluster.ts';
import { pushEverywhere } from './push-everywhere.ts';
import { readWalFile } from './read-wal-file.ts';

/** After its deadline the stores' own failures are waited for a little: they say more. */
const LAST_WORDS_MS = 500;

/**
 * Returns when the file at `walPath` (`%p`) is durable in every configured repository, or its identical content already was. Throws
 * whatever stands against that, at the latest when `push_timeout` is over: a server that shuts down waits for this call.
 */
export async function push(walPath: string, context: HookContext): Promise<void> {
  const file = walFileAt(walPath);
  // Waiting for a worker was part of it.
  const pushTimeoutMs = Math.max(context.config.pushTimeoutMs / 2, context.config.pushTimeoutMs - context.waitedMs);
  using stores = deadlineAfter(pushTimeoutMs, context.clock, context.signal);
  // A local disk that hangs answers to no signal.
  using whole = deadlineAfter(pushTimeoutMs + LAST_WORDS_MS, context.clock, context.signal);
  try {
    await abortable(whole.signal, pushFile(file, walPath, { ...context, signal: stores.signal }));
  } catch (error) {
    if (!hasCode(error, 'deadline')) throw error;
    throw new WalholdError('deadline', `could not store ${file.name} in time`, { detail: error.message, cause: error });
  }
}

async function pushFile(file: WalFile, walPath: string, context: HookContext): Promise<void> {
  const { config, log, clock, by } = context;
  const local = await openLocalCluster(walPath, context, { useSpool: true, saidBefore: saidLately });
  try {
    // Who has only some files pushed asks for no worker, which would take all. It comes up meanwhile, unless the last call failed: what is
    // wrong may be for good.
    const wantsWorker = file.kind === 'segment';
    const isEarly = wantsWorker && (await readError(local.spool, 'push')) === undefined;
    const started = isEarly ? await engageWorker('push', local, context) : undefined;
    const plain = await readWalFile(resolve(context.workingDirectory, walPath));
    const at = new Date(clock.now());
    const wal = prepareWal(file, plain, { cluster: local.control, level: config.compressLevel, by, at });
    for (const warning of wal.warnings) log.warning(`${file.name}: ${warning}`);
    await pushEverywhere(wal, local.spool, context);
    await clearError(local.spool, 'push');
    if (wantsWorker && !isEarly) await engageWorker('push', local, context);
    await untilServed(started, context);
  } catch (error) {
    if (error instanceof WalholdError) await noteError(local.spool, 'push', file.name, error, clock.now());
    throw error;
  }
}

function walFileAt(walPath: string): WalFile {
  const name = basename(walPath);
  const file = parseWalName(name);
  if (file !== undefined) return file;
  throw new WalholdError('bad-wal-name', `${name} is not the name of a WAL file`, {
    hint: "Call it as archive_command = 'walhold-push %p'.",
  });
}
