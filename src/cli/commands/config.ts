import type { Companion } from '../companion.ts';

export function addConfigCommand({ program, settings, runWithoutConfig }: Companion): void {
  program
    .command('config')
    .description('print every setting with its value and where it comes from')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      await runWithoutConfig(async (context) => {
        const { showConfig } = await import('../../commands/config.ts');
        return showConfig(context, settings, { json: options.json === true });
      });
    });
}
