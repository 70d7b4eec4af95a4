import type { CommandOutcome } from '../../commands/command-context.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';

export function addExpireCommand({ program, run }: Companion): void {
  const command = program
    .command('expire')
    .description(
      'remove what no kept backup and no moment of retention_window needs (with credentials that may); what is locked stays',
    );
  withCommonOptions(command, 'checks')
    .option('-n, --dry-run', 'only say what would be removed')
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions & { dryRun?: boolean; json?: boolean }) => {
      await run(options, async (context) => {
        const { expire } = await import('../../commands/expire.ts');
        const { rememberRun } = await import('../../commands/metrics/keep-metrics.ts');
        const dryRun = options.dryRun === true;
        const run = async (): Promise<CommandOutcome> => await expire(context, { dryRun, json: options.json === true });
        return dryRun ? await run() : await rememberRun(context, 'expire', run);
      });
    });
}
