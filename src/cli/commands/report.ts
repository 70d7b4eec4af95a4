import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';

export function addReportCommand({ program, run }: Companion): void {
  const command = program
    .command('report')
    .description('make one HTML page of what is stored and what can be recovered');
  withCommonOptions(command, 'reads')
    .option('-o, --output <FILE>', 'write the page into this file (default, and for -: to stdout)')
    .action(async (options: CommonOptions & { output?: string }) => {
      await run(options, async (context) => {
        const { report } = await import('../../commands/report.ts');
        return await report(context, { output: options.output === '-' ? undefined : options.output });
      });
    });
}
