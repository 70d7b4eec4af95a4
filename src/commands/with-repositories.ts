import { closeRepositories, openRepositories, type Repository } from '../repository/repository.ts';
import type { CommandContext } from './command-context.ts';

/** A person waits: a store that does not answer is given up after some seconds, not after hours. */
const TRIES = 5;

/** Runs `work` with the configured repositories, in the order of their numbers, and closes them whatever happens. */
export async function withRepositories<T>(
  context: Pick<CommandContext, 'config' | 'clock' | 'random' | 'log'>,
  work: (repositories: readonly Repository[]) => Promise<T>,
): Promise<T> {
  const { config, clock, random, log } = context;
  const repositories = await openRepositories(config, { clock, log, random, tries: TRIES });
  try {
    return await work(repositories);
  } finally {
    await closeRepositories(repositories);
  }
}
