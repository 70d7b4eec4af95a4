import { WalholdError } from '../../base/errors.ts';
import type { LockRule } from '../../repository/lock/lock-rule.ts';
import type { Repository } from '../../repository/repository.ts';

/** What a repository's settings ask of its locks. `undefined`: nothing. */
export function ruleOf({ lock, settings }: Repository): LockRule | undefined {
  if (lock === undefined) return undefined;
  // Root alone may set the immutable attribute; to it a file without is not locked yet.
  const isRoot = settings.scheme === 'file' && process.geteuid?.() === 0;
  return isRoot ? { ...lock, attribute: true } : lock;
}

/** Repositories that lock. Throws `config` when none does. */
export function lockingRepositories(repositories: readonly Repository[]): { repository: Repository; rule: LockRule }[] {
  const locking = repositories.flatMap((repository) => {
    const rule = ruleOf(repository);
    return rule === undefined ? [] : [{ repository, rule }];
  });
  if (locking.length > 0) return locking;
  throw new WalholdError('config', 'no repository locks what it stores', {
    detail: 'lock_mode is none',
    hint: 'Set lock_mode and lock_period; "walhold lock extend" then locks what is stored already, too.',
  });
}
