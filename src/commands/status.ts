import type { Repository } from '../repository/repository.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { readLocalView } from './local-lag.ts';
import type { ServerOptions } from './local-server.ts';
import { metricsText, saveMetrics, STATUS_SOURCES } from './metrics/metrics-file.ts';
import { statusMetrics } from './metrics/status-metrics.ts';
import { warnOfFailures } from './repository-failures.ts';
import { gatherStatus, type StatusFindings } from './status-gather.ts';
import { describeStatus } from './status-text.ts';
import { withRepositories } from './with-repositories.ts';

export interface StatusOptions extends ServerOptions {
  format: 'text' | 'json' | 'prometheus';
}

/**
 * Tells what can be told: a store that does not answer, or a server, leaves its part unknown and makes a fault, and so does a `metrics_file`
 * that cannot be written.
 */
export async function status(context: CommandContext, options: StatusOptions): Promise<CommandOutcome> {
  const local = await readLocalView(context, options);
  const work = async (repositories: readonly Repository[]): Promise<CommandOutcome> => {
    const findings = await gatherStatus(context, repositories, local);
    context.print(await textOf(context, options.format, findings));
    const saved = await saveMetrics(context, statusMetrics(findings), STATUS_SOURCES);
    if (findings.overview !== undefined) warnOfFailures(context.log, findings.overview);
    return findings.fault || !saved ? 'fault' : 'done';
  };
  return await withRepositories(context, work, 'reported');
}

async function textOf(
  context: CommandContext,
  format: StatusOptions['format'],
  findings: StatusFindings,
): Promise<string> {
  switch (format) {
    case 'text':
      return describeStatus(findings.status);
    case 'json':
      return `${JSON.stringify(findings.status, undefined, 2)}\n`;
    case 'prometheus':
      return await metricsText(context, statusMetrics(findings), STATUS_SOURCES);
  }
}
