import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';

export function addListCommand({ program, run }: Companion): void {
  const command = program.command('list').description('list backups, and the windows one can recover to');
  withCommonOptions(command, 'reads')
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions & { json?: boolean }) => {
      await run(options, async (context) => {
        const { list } = await import('../../commands/list.ts');
        return await list(context, { json: options.json === true });
      });
    });
}
