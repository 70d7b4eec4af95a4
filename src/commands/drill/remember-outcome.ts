/** What a drill has found is kept: in the repositories, and for whoever watches. */
import { reasonOf, WalholdError } from '../../base/errors.ts';
import type { DrillRecord } from '../../repository/drill-record.ts';
import { storeDrill } from '../../repository/drill-records.ts';
import { describeTarget } from '../../repository/recovery-target.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CommandContext } from '../command-context.ts';
import { summaryOf } from '../drills-json.ts';
import { rememberDrill } from '../metrics/keep-metrics.ts';
import type { DrillOptions } from './drill-options.ts';
import { drillRecord, type DrillJson } from './drill-report.ts';

export interface Outcome extends Pick<DrillRecord, 'systemId' | 'backup' | 'bytes' | 'walBytes'> {
  json: DrillJson;
  /** When the drill began, ms since 1970. */
  begun: number;
}

/** Nothing that fails here is a fault of the drill's. */
export async function rememberOutcome(
  context: CommandContext,
  { restore }: DrillOptions,
  repositories: readonly Repository[],
  { json, begun, ...about }: Outcome,
): Promise<void> {
  const { by } = context;
  const record = drillRecord(json, { ...about, at: new Date(begun), by, target: describeTarget(restore.target) });
  await storeEverywhere(context, repositories, record);
  await rememberDrill(context, summaryOf(record));
}

/** Credentials that only read are no fault: the drill was held all the same. */
async function storeEverywhere(
  { log, signal, asOf }: CommandContext,
  repositories: readonly Repository[],
  result: DrillRecord,
): Promise<void> {
  if (asOf !== undefined) return log.info('the result is not stored: it is about what was stored in the past');
  for (const repository of repositories) {
    const at = new Date(result.at.getTime() + (repository.store.clockSkewMs?.() ?? 0));
    const record = { ...result, at };
    try {
      const key = await storeDrill(repository, record, { signal });
      log.debug(`stored the result as ${key} in ${repository.url}`);
    } catch (error) {
      signal.throwIfAborted();
      const { detail } = error instanceof WalholdError ? error : { detail: undefined };
      log.warning(`could not store the result in ${repository.url}: ${reasonOf(error)}`, {
        detail,
        hint: '"walhold list" and "walhold status" will not know of this drill; to store it takes the right to create drill/*.',
      });
    }
  }
}
