import { extendLocks, type ExtendReport } from '../../repository/lock/extend-locks.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CommandContext, CommandOutcome } from '../command-context.ts';
import { formatBytes } from '../format-bytes.ts';
import { plainText } from '../plain-text.ts';
import { sealStoredWal } from '../seal-stored-wal.ts';
import { withRepositories } from '../with-repositories.ts';
import { eachRepository } from './each-repository.ts';
import { lockingRepositories } from './lock-rules.ts';
import { endText, isoOrNull } from './lock-status-json.ts';

/** The shape of `walhold lock extend --json`. */
export interface LockExtendJson {
  /** Nothing needed is short now. With `dryRun`: nothing kept it from being found out. */
  ok: boolean;
  dryRun: boolean;
  repositories: ExtendedJson[];
}

export interface ExtendedJson {
  repository: number;
  url: string;
  /** By the store's clock. */
  at: string;
  /** What was lengthened (with `dryRun`: would be), and the earliest and latest end that it has now. */
  extended: { objects: number; bytes: number; earliest: string | null; latest: string | null };
  /** Long enough: as the store said now, and by the newest record. */
  enough: { objects: number; byRecord: { directories: number; objects: number } };
  /** Objects that were asked for one by one. */
  asked: number;
  /** What stays short; `objects` names a hundred at most. */
  failed: { count: number; objects: { object: string; message: string }[] };
  /** The object that this run left; `null`: nothing new was to be recorded. */
  record: string | null;
  /** A record that is not as the store says, and so was not believed, with the directory that showed it. */
  contradiction: { record: string; directory: string } | null;
  damagedBackups: string[];
}

export interface LockExtendOptions {
  dryRun: boolean;
  json: boolean;
}

/** Lengthens what is needed for longer than it is locked, in every repository that locks. What stays short is a fault. */
export async function lockExtend(context: CommandContext, options: LockExtendOptions): Promise<CommandOutcome> {
  const { signal, clock, config, by } = context;
  const { dryRun } = options;
  return await withRepositories(context, async (repositories): Promise<CommandOutcome> => {
    const items = lockingRepositories(repositories);
    const { results, failures } = await eachRepository(items, context, async ({ repository, rule }) => {
      const report = await extendLocks(repository, rule, { signal, clock, by, dryRun, jobs: config.jobs });
      warn(context, repository, report);
      const { systemId, segmentBytes } = report.survey;
      if (!dryRun && segmentBytes !== undefined) {
        await sealStoredWal(context, [repository], { systemId, segmentBytes });
      }
      return extendedJson(repository, report);
    });
    const isFine = ({ failed, damagedBackups }: ExtendedJson): boolean =>
      failed.count === 0 && damagedBackups.length === 0;
    const ok = failures.length === 0 && results.every(isFine);
    const result: LockExtendJson = { ok, dryRun, repositories: results };
    context.print(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : describe(result));
    return ok ? 'done' : 'fault';
  });
}

function warn({ log }: CommandContext, { url }: Repository, { contradiction, survey }: ExtendReport): void {
  if (contradiction !== undefined) {
    log.warning(`${contradiction.record} in ${url} claims longer locks than the store knows`, {
      detail: `so it is of ${contradiction.directory}; every object was asked for instead`,
      hint: 'Somebody has forged it, or shortened locks: see "walhold lock status".',
    });
  }
  for (const { key, reason } of survey.records.bad) log.warning(`${key} in ${url} is not believed`, { detail: reason });
  for (const { id } of survey.damagedBackups) {
    log.warning(
      `backup ${id} in ${url} cannot be read: its objects are kept locked, the WAL that it needs is not known`,
      {
        hint: 'See "walhold verify".',
      },
    );
  }
}

function extendedJson({ number, url }: Repository, report: ExtendReport): ExtendedJson {
  const { survey, extended, failures, contradiction } = report;
  const { objects, bytes, earliest, latest } = extended;
  return {
    repository: number,
    url,
    at: new Date(survey.now).toISOString(),
    extended: { objects, bytes, earliest: isoOrNull(earliest), latest: isoOrNull(latest) },
    enough: { objects: report.enough, byRecord: report.byRecord },
    asked: report.asked,
    failed: { count: report.failureCount, objects: [...failures] },
    record: report.record ?? null,
    contradiction: contradiction ?? null,
    damagedBackups: survey.damagedBackups.map(({ id }) => id),
  };
}

function describe({ dryRun, repositories }: LockExtendJson): string {
  return repositories.map((one) => describeOne(one, dryRun)).join('');
}

function describeOne({ repository, extended, enough, failed, record }: ExtendedJson, dryRun: boolean): string {
  const { objects, bytes, earliest, latest } = extended;
  const until = earliest === latest ? endText(earliest) : `${endText(earliest)} to ${endText(latest)}`;
  const done = dryRun ? 'would be lengthened' : 'lengthened';
  const lines = [
    objects === 0
      ? `repository ${repository}: nothing to lengthen`
      : `repository ${repository}: ${objects} objects (${formatBytes(bytes)}) ${done}, locked until ${until}`,
    `  long enough: ${enough.objects} objects as the store says, ${enough.byRecord.objects} by the last record`,
  ];
  if (record !== null) lines.push(`  recorded in ${record}`);
  if (failed.count > 0) lines.push(`  ${failed.count} objects stay short:`);
  for (const { object, message } of failed.objects) lines.push(`    ${object}: ${message}`);
  return lines.map((line) => `${plainText(line)}\n`).join('');
}
