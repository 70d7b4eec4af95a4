/** Keeps `metrics_file` up to date beside a command: whatever becomes of the file, the command ends as it ended. */
import { hasCode, reasonOf, WalholdError } from '../../base/errors.ts';
import type { CommandContext, CommandOutcome } from '../command-context.ts';
import type { DrillsJson } from '../drills-json.ts';
import { readLocalView } from '../local-lag.ts';
import type { ServerOptions } from '../local-server.ts';
import { gatherStatus } from '../status-gather.ts';
import { withRepositories } from '../with-repositories.ts';
import { MetricSet } from './metric-set.ts';
import { saveMetrics, STATUS_SOURCES } from './metrics-file.ts';
import { addDrills, statusMetrics } from './status-metrics.ts';

type Run = () => Promise<CommandOutcome>;

/** What is remembered of such a command. An error of the call itself says nothing about anything. */
export async function rememberRun(
  context: CommandContext,
  name: 'check' | 'verify' | 'expire',
  run: Run,
  about: { readRatio?: number } = {},
): Promise<CommandOutcome> {
  let outcome: CommandOutcome | undefined;
  try {
    return (outcome = await run());
  } catch (error) {
    if (hasCode(error, 'usage', 'config', 'unsupported', 'interrupted')) throw error;
    outcome = 'fault';
    throw error;
  } finally {
    if (outcome !== undefined) {
      const metrics = new MetricSet();
      metrics.add(`last_${name}_timestamp_seconds`, context.clock.now() / 1000);
      metrics.add(`last_${name}_ok`, outcome === 'done').add('last_verify_read_ratio', about.readRatio);
      await saveMetrics(context, metrics, [name]);
    }
  }
}

/** What a drill has shown, though its credentials may not let it store that. */
export async function rememberDrill(
  context: CommandContext,
  last: NonNullable<DrillsJson['lastDrill']>,
): Promise<void> {
  const metrics = new MetricSet();
  addDrills(metrics, { lastDrill: last, lastProven: last.ok ? last : null });
  await saveMetrics(context, metrics, last.ok ? ['drill', 'proof'] : ['drill']);
}

/** The whole status once more, as it is after this command. */
export async function refreshStatus(
  context: CommandContext,
  options: ServerOptions,
  run: Run,
): Promise<CommandOutcome> {
  const outcome = await run();
  if (context.config.metricsFile === undefined) return outcome;
  try {
    const local = await readLocalView(context, options);
    await withRepositories(
      context,
      async (repositories) => {
        const findings = await gatherStatus(context, repositories, local);
        await saveMetrics(context, statusMetrics(findings), STATUS_SOURCES);
      },
      'reported',
    );
  } catch (error) {
    if (!(error instanceof WalholdError)) throw error;
    context.log.warning(`metrics_file was not brought up to date: ${reasonOf(error)}`, { detail: error.detail });
  }
  return outcome;
}
