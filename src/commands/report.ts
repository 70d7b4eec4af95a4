import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ioError, systemCode, WalholdError } from '../base/errors.ts';
import { replaceDurably } from '../base/durable.ts';
import { readOverview } from '../repository/overview.ts';
import type { Repository } from '../repository/repository.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { gatherFacts } from './report/gather-facts.ts';
import { reportPage } from './report/page.ts';
import { warnOfFailures } from './repository-failures.ts';
import { withRepositories } from './with-repositories.ts';

export interface ReportOptions {
  /** A file that is made, or replaced as a whole; `undefined`: the page is the result on stdout. */
  output: string | undefined;
}

/** Writes the page. What it could not read, it says; that is a fault. What it finds wrong with the backups is not: the report is done. */
export async function report(context: CommandContext, { output }: ReportOptions): Promise<CommandOutcome> {
  const work = async (repositories: readonly Repository[]): Promise<CommandOutcome> => {
    const { signal, config, log } = context;
    const overview = await readOverview(repositories, { signal, jobs: config.jobs });
    const page = reportPage(await gatherFacts(repositories, overview, context));
    if (output === undefined) context.print(page);
    else await writePage(resolve(context.workingDirectory, output), page);
    warnOfFailures(log, overview);
    return overview.failures.length + overview.damaged.length === 0 ? 'done' : 'fault';
  };
  return await withRepositories(context, work, 'reported');
}

async function writePage(path: string, page: string): Promise<void> {
  try {
    // A link stays one; a device or a pipe would be gone.
    const target = await realpath(path).catch(absentAs(path));
    const found = await stat(target).catch(absentAs(undefined));
    if (found !== undefined && !found.isFile()) {
      throw new WalholdError('usage', `${path} is not a file that a report could replace`, {
        hint: 'Name a file, or leave out -o: the page is then written to stdout.',
      });
    }
    await replaceDurably(target, page, 0o644);
  } catch (error) {
    throw ioError(`could not write the report to ${path}`, error);
  }
}

function absentAs<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (systemCode(error) === 'ENOENT') return instead;
    throw error;
  };
}
