import { hasCode, reasonOf, WalholdError } from '../base/errors.ts';
import type { Repository } from '../repository/repository.ts';
import { sealWal } from '../repository/seal-wal.ts';
import type { CommandContext } from './command-context.ts';
import { deadlineAfter } from './deadline.ts';
import { sayFalseSeal } from './repository-failures.ts';

/** A store that has gone away meanwhile does not hold up what is done. The first seal of a year takes a minute or two. */
const MOST_MS = 600_000;

/**
 * Leaves a seal in each repository that has enough new WAL for one. It only spares later commands time: what fails here, or is broken
 * off, is no fault of the command that calls it, and credentials that may not are in order.
 */
export async function sealStoredWal(
  { log, clock, by, config, signal }: Pick<CommandContext, 'log' | 'clock' | 'by' | 'config' | 'signal'>,
  repositories: readonly Repository[],
  cluster: { systemId: bigint; segmentBytes: number },
): Promise<void> {
  for (const repository of repositories) {
    using deadline = deadlineAfter(MOST_MS, clock, signal);
    try {
      const options = { ...cluster, signal: deadline.signal, clock, by, jobs: config.jobs };
      const { key, logs, falseSeal } = await sealWal(repository, options);
      if (falseSeal !== undefined) sayFalseSeal(log, repository, falseSeal);
      if (key !== undefined) log.info(`${repository.url}/${key} seals ${logs} logs of 4 GiB that are stored in whole`);
    } catch (error) {
      if (signal.aborted) return;
      if (hasCode(error, 'denied')) {
        log.debug(`these credentials may not leave a seal in ${repository.url}`);
        continue;
      }
      const { detail } = error instanceof WalholdError ? error : { detail: undefined };
      log.warning(`could not leave a seal in ${repository.url}: ${reasonOf(error)}`, { detail });
    }
  }
}
