import type { CommandOutcome } from '../../commands/command-context.ts';
import {
  withCommonOptions,
  withServerOptions,
  type CommonOptions,
  type Companion,
  type ServerFlags,
} from '../companion.ts';

export function addCheckCommand({ program, run }: Companion): void {
  const command = program
    .command('check')
    .description(
      'check everything that must be true before trusting it: server, commands, repositories, a segment on its way',
    );
  withServerOptions(withCommonOptions(command, 'checks'))
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions & ServerFlags & { json?: boolean }) => {
      await run(options, async (context) => {
        const { check } = await import('../../commands/check.ts');
        const { pgdata, dbname, json = false } = options;
        const { refreshStatus, rememberRun } = await import('../../commands/metrics/keep-metrics.ts');
        const run = async (): Promise<CommandOutcome> => await check(context, { pgdata, dbname, json });
        return await refreshStatus(context, { pgdata, dbname }, async () => await rememberRun(context, 'check', run));
      });
    });
}
