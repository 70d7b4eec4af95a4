import { Option } from 'commander';
import {
  withCommonOptions,
  withServerOptions,
  type CommonOptions,
  type Companion,
  type ServerFlags,
} from '../companion.ts';

interface StatusFlags extends CommonOptions, ServerFlags {
  json?: boolean;
  prometheus?: boolean;
}

export function addStatusCommand({ program, run }: Companion): void {
  const command = program
    .command('status')
    .description('show what is not yet safe, what waits, what was stored last, and what is missing');
  withServerOptions(withCommonOptions(command, 'reads'))
    .option('--json', 'print JSON')
    .addOption(new Option('--prometheus', "print Prometheus' text format").conflicts('json'))
    .action(async (options: StatusFlags) => {
      await run(options, async (context) => {
        const { status } = await import('../../commands/status.ts');
        const { pgdata, dbname, json, prometheus } = options;
        const format = json === true ? 'json' : prometheus === true ? 'prometheus' : 'text';
        return await status(context, { pgdata, dbname, format });
      });
    });
}
