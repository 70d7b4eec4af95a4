import { reasonOf, WalholdError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Overview } from '../repository/overview.ts';
import type { Repository, RepositoryFailure } from '../repository/repository.ts';
import type { FalseSeal } from '../repository/sealed-wal.ts';

/** Says what an overview lacks, and why. */
export function warnOfFailures(log: Log, overview: Overview): void {
  warnOfUnread(log, overview.failures);
  for (const { id, error } of overview.damaged) warn(log, `backup ${id} cannot be trusted and is left out`, error);
  for (const { timeline, error } of overview.inventory?.damagedHistories ?? []) {
    warn(log, `the history of timeline ${timeline} is damaged: it is taken for one without ancestors`, error);
  }
  for (const { repository, ...found } of overview.inventory?.falseSeals ?? []) sayFalseSeal(log, repository, found);
  for (const id of overview.unfinished) log.info(`${id} is an upload that did not end, or has not yet: no backup`);
}

/** Says which repositories had no part in a result, and why. */
export function warnOfUnread(log: Log, failures: readonly RepositoryFailure[]): void {
  for (const { repository, error } of failures) {
    warn(
      log,
      `repository ${repository.number} (${repository.url}) could not be read: what only it holds is missing here`,
      error,
    );
  }
}

export function sayFalseSeal(log: Log, { url }: Repository, { key, directory }: FalseSeal): void {
  log.warning(`${key} in ${url} says that ${directory} is stored in whole, and it is not`, {
    detail: 'the seal was not believed, and everything was listed instead',
    hint: 'Somebody has forged it, or removed WAL: see "walhold verify".',
  });
}

function warn(log: Log, message: string, error: unknown): void {
  if (error instanceof WalholdError) {
    const detail = [error.message, error.detail].filter((part) => part !== undefined).join(': ');
    log.warning(message, { detail, hint: error.hint });
  } else log.warning(message, { detail: reasonOf(error) });
}
