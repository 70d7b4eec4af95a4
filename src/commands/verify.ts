import type { Repository } from '../repository/repository.ts';
import type { Problem } from '../repository/verify-problem.ts';
import { verifyRepository } from '../repository/verify-repository.ts';
import { VerifyReport, type Slice } from '../repository/verify-scope.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { formatBytes } from './format-bytes.ts';
import { plainText } from './plain-text.ts';
import { Progress } from './progress/progress.ts';
import { viewsOf, type ProgressOutput } from './progress/views.ts';
import { ReadingThreads } from './verify/reading-threads.ts';
import { withRepositories } from './with-repositories.ts';

/**
 * The shape of `walhold verify --json`. `checked` counts the contents that were read. `records`: WAL records whose CRC-32C was proven;
 * `unproven`: those that could not be, since the segment they begin in was not read beside the one they end in.
 */
export interface VerifyJson {
  ok: boolean;
  checked: { objects: number; bytes: number; records: number; unproven: number };
  problems: Problem[];
}

export interface VerifyOptions {
  json: boolean;
  /** `undefined`: names alone (`--quick`). */
  slice: Slice | undefined;
  progress: ProgressOutput | undefined;
}

/** Names, then digests, then contents of every repository, one after the other. Problems are results, and a fault. */
export async function verify(context: CommandContext, options: VerifyOptions): Promise<CommandOutcome> {
  const work = async (repositories: readonly Repository[]): Promise<CommandOutcome> => {
    const { signal, config, log, clock } = context;
    const checked = { objects: 0, bytes: 0, records: 0, unproven: 0 };
    const result: VerifyJson = { ok: true, checked, problems: [] };
    await using reader = threadsFor(context);
    await using progress = new Progress(viewsOf(options.progress), clock);
    for (const repository of repositories) {
      const report = new VerifyReport();
      const scope = { signal, clock, jobs: config.jobs, slice: options.slice, report, reader };
      await verifyRepository(repository, { ...scope, onPhase: phasesOf(progress, report) });
      for (const warning of report.warnings) log.warning(`repository ${repository.number}: ${warning}`);
      // Where there is one repository only, its number would say nothing.
      const where = repositories.length === 1 ? '' : `repository ${repository.number} (${repository.url}): `;
      for (const problem of report.problems) {
        result.problems.push({ ...problem, message: `${where}${problem.message}` });
      }
      checked.objects += report.objects;
      checked.bytes += report.bytes;
      checked.records += report.records;
      checked.unproven += report.unproven;
    }
    result.ok = result.problems.length === 0;
    context.print(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : describe(result, options));
    return result.ok ? 'done' : 'fault';
  };
  return await withRepositories(context, work, 'reported');
}

/** Each phase counts what it reads itself. */
function phasesOf(progress: Progress, report: VerifyReport): (name: string, bytes?: number) => void {
  return (name, total) => {
    const before = report.bytes;
    const found = (): string => (report.problems.length === 0 ? '' : `${report.problems.length} problems`);
    progress.phase(name, { done: () => report.bytes - before, total, more: found });
  };
}

function threadsFor({ config, asOf, signal }: CommandContext): ReadingThreads {
  const { repositories, requestTimeoutMs } = config;
  return new ReadingThreads({ repositories, requestTimeoutMs, asOf: asOf?.at }, signal);
}

function describe({ checked, problems }: VerifyJson, { slice }: VerifyOptions): string {
  const lines = problems.map(({ code, object, message }) => `${code}: ${object}: ${plainText(message)}`);
  const part = slice === undefined || slice.of === 1 ? '' : `slice ${slice.n} of ${slice.of}: `;
  const read =
    slice === undefined
      ? 'names checked, no contents read'
      : `${part}${checked.objects} objects read, ${formatBytes(checked.bytes)}, ${checked.records} WAL records proven`;
  const verdict = problems.length === 0 ? 'no problem found' : `${problems.length} problems found`;
  if (checked.unproven > 0)
    lines.push(`${checked.unproven} WAL records begin in segments that were not read beside those they end in`);
  return [...lines, `${read}; ${verdict}`].map((line) => `${line}\n`).join('');
}
