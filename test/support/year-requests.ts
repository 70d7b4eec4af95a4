import { asOnS3, type Requests } from '../../scripts/bench/as-on-s3.ts';
import { systemClock } from '../../src/base/clock.ts';
import { textLog } from '../../src/base/log.ts';
import type { CommandContext } from '../../src/commands/command-context.ts';
import { readList, type ListJson } from '../../src/commands/list.ts';
import { readPlan } from '../../src/commands/restore/read-plan.ts';
import type { RestoreOptions } from '../../src/commands/restore/restore-options.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';
import { gatherStatus } from '../../src/commands/status-gather.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { fileStore } from '../../src/store/file.ts';

const { signal } = new AbortController();

export type Work<T> = (repository: Repository, context: CommandContext) => Promise<T>;

/** What the work would cost on S3, with the names of a directory, and what it shows. A warning is an error. */
export async function counted<T>(root: string, work: Work<T>): Promise<{ requests: Requests; shown: T }> {
  const requests: Requests = { lists: 0, looks: 0, reads: 0 };
  const store = asOnS3(fileStore({ root }), requests);
  const settings = { scheme: 's3', bucket: 'bucket', prefix: 'main' } as const;
  const retention = { windowMs: undefined, fullBackups: 2 };
  const repository = { number: 1, url: store.url, settings, lock: undefined, retention, strangers: [], store };
  const log = textLog('work', 'warning', (line) => {
    throw new Error(line);
  });
  const context = { signal, log, clock: systemClock, random: Math.random, asOf: undefined, config: { jobs: 2 } };
  return { shown: await work(repository, context as unknown as CommandContext), requests };
}

/** `walhold list`. */
export const list: Work<ListJson> = async (repository, context) => (await readList(context, [repository])).result;

/** `walhold status`. */
export const status: Work<StatusJson> = async (repository, context) =>
  (await gatherStatus(context, [repository], { lag: undefined, serverFailed: false })).status;

/** `walhold restore --plan`. */
export const plan: Work<unknown> = async (repository, { log, clock, random }) => {
  const options = { target: { kind: 'end' }, backup: 'any', exclusive: false, timeline: { kind: 'newest' } } as unknown;
  const context = { signal, jobs: 2, log, seals: { clock, random } };
  return (await readPlan([repository], options as RestoreOptions, context)).plan;
};
