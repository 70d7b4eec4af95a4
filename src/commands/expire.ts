/** Removes what no kept backup and no moment of the window needs, from every repository that has a retention. */
import { WalholdError } from '../base/errors.ts';
import type { Repository } from '../repository/repository.ts';
import { openRemover } from '../store/open-remover.ts';
import { retryPolicy } from '../store/retry.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { emptyReport, expireRepository } from './expire/expire-repository.ts';
import { ExpireOutput, type ExpiredJson } from './expire/expire-output.ts';
import { eachRepository } from './lock/each-repository.ts';
import { PATIENCE, withRepositories } from './with-repositories.ts';

export interface ExpireOptions {
  dryRun: boolean;
  json: boolean;
}

/** A fault when one of several repositories could not be done. Throws `config` where no repository says how long anything is kept. */
export async function expire(context: CommandContext, options: ExpireOptions): Promise<CommandOutcome> {
  const { config, clock, random, log } = context;
  const policy = retryPolicy({ clock, random, log, ...PATIENCE, requestTimeoutMs: config.requestTimeoutMs });
  const remover = ({ settings }: Repository): ReturnType<typeof openRemover> => openRemover(settings, policy);
  return await withRepositories(context, (repositories) => expireAll(repositories, context, options, remover));
}

async function expireAll(
  repositories: readonly Repository[],
  context: CommandContext,
  { dryRun, json }: ExpireOptions,
  remover: (repository: Repository) => ReturnType<typeof openRemover>,
): Promise<CommandOutcome> {
  const { clock, log, signal, by, config, print } = context;
  const items = repositories.flatMap((repository) => {
    const { windowMs, fullBackups } = repository.retention;
    return windowMs === undefined ? [] : [{ repository, retention: { windowMs, fullBackups } }];
  });
  if (items.length === 0) throw noRetention(repositories);
  for (const { number } of repositories.filter(({ retention }) => retention.windowMs === undefined)) {
    log.info(`repository ${number} has no retention: everything stays`);
  }
  const output = new ExpireOutput(print, { json });
  const reports: ExpiredJson[] = [];
  const always = { clock, log, signal, by, jobs: config.jobs, output, openRemover: dryRun ? undefined : remover };
  let failed = true;
  try {
    const { failures } = await eachRepository(items, context, async ({ repository, retention }) => {
      const report = emptyReport(repository);
      reports.push(report);
      await expireRepository(repository, { ...always, retention }, report);
    });
    failed = false;
    return failures.length === 0 ? 'done' : 'fault';
  } finally {
    if (!failed || output.hasBegun) output.end(dryRun, reports);
  }
}

function noRetention(repositories: readonly Repository[]): WalholdError {
  const [first] = repositories;
  const name = first === undefined || first.number === 1 ? 'retention_window' : `repo${first.number}_retention_window`;
  return new WalholdError('config', 'nothing says how long anything is kept, so there is nothing to remove', {
    detail: `${name} is not set`,
    hint: `Set ${name} to how long any moment shall stay recoverable, for example ${name} = 14d, or retention_full to how many full backups shall stay.`,
  });
}
