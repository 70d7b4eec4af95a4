import { closeRepositories, openRepositories, type Repository } from '../repository/repository.ts';
import type { CommandContext } from './command-context.ts';
import { warnOfTraces } from './warn-of-traces.ts';

/** A person waits: a store that refuses is given up after some seconds, one that is silent after two times `request_timeout` as a rule. */
export const PATIENCE = { tries: 5, patienceMs: 25_000 } as const;

/**
 * Runs `work` with the configured repositories, in the order of their numbers, and closes them whatever happens. Traces of somebody else
 * are a warning at its end, unless they are `reported` by the work itself.
 */
export async function withRepositories<T>(
  context: Pick<CommandContext, 'config' | 'clock' | 'random' | 'log' | 'asOf'>,
  work: (repositories: readonly Repository[]) => Promise<T>,
  traces: 'warned' | 'reported' = 'warned',
): Promise<T> {
  const { config, clock, random, log, asOf } = context;
  const repositories = await openRepositories(config, {
    clock,
    log,
    random,
    ...PATIENCE,
    asOf: asOf?.at,
  });
  try {
    return await work(repositories);
  } finally {
    if (traces === 'warned') warnOfTraces(log, repositories);
    await closeRepositories(repositories);
  }
}
