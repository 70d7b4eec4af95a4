/** A backup, and the place that it goes into, before either is touched. */
import { reasonOf, WalholdError } from '../../base/errors.ts';
import type { StoredBackup } from '../../repository/backups.ts';
import type { RestorePlan } from '../../repository/restore-plan.ts';
import type { CommandContext } from '../command-context.ts';
import type { BackupSource } from './backup-source.ts';
import { chooseDatabases, type ChosenDatabases } from './chosen-databases.ts';
import { openChain, type OpenedChain } from './open-chain.ts';
import { openDelta, type Delta } from './open-delta.ts';
import { openSelection } from './open-selection.ts';
import type { RestorableBackup } from './plan-report.ts';
import type { ReadPlan } from './read-plan.ts';
import type { RestoreOptions } from './restore-options.ts';
import type { Survey } from './survey-target.ts';

/** What only the process itself knows. */
export interface RestoreHost {
  uid: number;
  isAlive: (pid: number) => boolean;
}

/** The first half of a restore: everything is looked at, and nothing is changed. */
export async function openBackup(
  context: CommandContext,
  options: RestoreOptions,
  host: RestoreHost,
  plan: RestorePlan<RestorableBackup>,
  found: ReadPlan,
): Promise<OpenedBackup> {
  const { log, signal, config } = context;
  const { dataDirectory, mappings, onlyDatabases } = options;
  if (dataDirectory === undefined) throw new WalholdError('usage', 'no directory to restore into is given');
  const { summary, chain } = plan.backup;
  const databases = chooseDatabases(summary, onlyDatabases);
  const delta = options.delta ? await openDelta(dataDirectory, summary, { mappings, ...host }) : undefined;
  let survey: Survey | undefined;
  const opened = await openChain({
    chain,
    sourceOf: (link) => sourceOf(context, link, found),
    jobs: config.jobs,
    async select(newest) {
      const sources = { dataDirectory, delta, databases, jobs: config.jobs, signal, log };
      const selected = await openSelection(sources, newest);
      survey = selected?.survey;
      return selected?.selection;
    },
  });
  return { opened, delta, survey, databases, dataDirectory };
}

export interface OpenedBackup {
  dataDirectory: string;
  opened: OpenedChain;
  /** With `survey`; `undefined`: there is nothing to be kept. */
  delta: Delta | undefined;
  survey: Survey | undefined;
  /** `undefined`: all are restored. */
  databases: ChosenDatabases | undefined;
}

/** Where a backup of a chain is read. */
export function sourceOf(
  { log, signal }: CommandContext,
  { repositories }: Pick<StoredBackup, 'repositories'>,
  { overview }: ReadPlan,
): BackupSource {
  return {
    repositories: overview.repositories.filter(({ number }) => repositories.includes(number)),
    signal,
    warn: ({ repository, error }, object) =>
      log.warning(`${repository.url}/${object} is read from elsewhere`, { detail: reasonOf(error) }),
  };
}
