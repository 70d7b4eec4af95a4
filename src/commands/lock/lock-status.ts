import { lockReport } from '../../repository/lock/lock-report.ts';
import type { CommandContext, CommandOutcome } from '../command-context.ts';
import { withRepositories } from '../with-repositories.ts';
import { eachRepository } from './each-repository.ts';
import { ruleOf } from './lock-rules.ts';
import { repositoryLocks, type LockStatusJson, type RepositoryLocksJson } from './lock-status-json.ts';
import { describeLockStatus } from './lock-status-text.ts';

/** Prints what is protected until when. What is needed and short of it, and each trace of somebody else, is a fault. */
export async function lockStatus(context: CommandContext, options: { json: boolean }): Promise<CommandOutcome> {
  const { signal, clock, config } = context;
  return await withRepositories(
    context,
    async (repositories): Promise<CommandOutcome> => {
      const items = repositories.map((repository) => ({ repository, rule: ruleOf(repository) }));
      const { results, failures } = await eachRepository(items, context, async ({ repository, rule }) =>
        repositoryLocks(repository, await lockReport(repository, rule, { signal, clock, jobs: config.jobs })),
      );
      const ok = failures.length === 0 && results.every(isFine);
      const status: LockStatusJson = { ok, repositories: results };
      context.print(options.json ? `${JSON.stringify(status, undefined, 2)}\n` : describeLockStatus(status));
      return ok ? 'done' : 'fault';
    },
    'reported',
  );
}

function isFine({ short, tampering, damagedBackups, proof }: RepositoryLocksJson): boolean {
  const isGuess = proof.belied > 0 && proof.byAge > 0;
  return !isGuess && short.count === 0 && tampering.count === 0 && damagedBackups.length === 0;
}
