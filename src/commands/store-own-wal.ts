import type { Config } from '../config/config.ts';
import { readControlFile } from '../server/data-directory.ts';
import { positionOfControl } from '../server/wal-position.ts';
import { isOwnWalStored, noteOwnWalStored } from '../spool/own-wal.ts';
import type { Spool } from '../spool/spool.ts';
import type { WorkContext } from './work-context.ts';

/**
 * A promoted server never archives what it had streamed before, and the old primary may not have either: once for each timeline above the
 * first, all of its own WAL that some repository lacks is stored, as `walhold wal push` does it. The sooner the better: the first checkpoint takes away
 * what `wal_keep_size` does not keep. `nothing`: there is no reason to, or it is done.
 */
export async function storeOwnWal(
  context: WorkContext,
  config: Config,
  spool: Spool,
): Promise<'nothing' | 'stored' | 'failed'> {
  const { dataDirectory, log } = context;
  const control = await readControlFile(dataDirectory);
  if (control === undefined || !('segmentBytes' in control)) return 'nothing';
  const { timeline, inRecovery } = positionOfControl(control);
  if (timeline === 1 || inRecovery || (await isOwnWalStored(spool, timeline))) return 'nothing';
  const commandContext = { ...context, config, workingDirectory: dataDirectory, print: () => undefined };
  const options = { dbname: undefined, check: false };
  // Brings along what talks to servers, which a worker needs for nothing else.
  const { pushOwnWal } = await import('./wal-push.ts');
  const { pushed, missing, failures } = await pushOwnWal(commandContext, { dataDirectory, control }, options);
  if (pushed.length > 0) log.info(`stored ${pushed.length} files that this server had and some repository lacked`);
  for (const { name, repository, message } of failures) {
    log.error(name === null ? `repository ${repository}: ${message}` : `${name}, repository ${repository}: ${message}`);
  }
  if (missing.length + failures.length > 0) return 'failed';
  await noteOwnWalStored(spool, timeline);
  return 'stored';
}
