import { InvalidArgumentError, Option } from 'commander';
import type { CommandOutcome } from '../../commands/command-context.ts';
import { parseSlice, type Slice } from '../../repository/verify-scope.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';
import { progressOutput, withProgressOptions, type ProgressFlags } from '../progress-options.ts';

interface VerifyFlags extends CommonOptions, ProgressFlags {
  quick?: boolean;
  slice?: Slice;
  json?: boolean;
}

const EVERYTHING: Slice = { n: 1, of: 1 };

export function addVerifyCommand({ program, run }: Companion): void {
  const command = program
    .command('verify')
    .description('check that all is there, whole, and what it says it is: names, digests, contents, backups');
  withProgressOptions(withCommonOptions(command, 'reads'))
    .addOption(new Option('--slice <n/t>', 'read one t-th of the contents: t runs read all').argParser(slice))
    .addOption(new Option('--quick', 'read no contents').conflicts('slice'))
    .option('--json', 'print JSON')
    .action(async (options: VerifyFlags) => {
      await run(options, async (context) => {
        const { verify } = await import('../../commands/verify.ts');
        const read = options.quick === true ? undefined : (options.slice ?? EVERYTHING);
        const { rememberRun } = await import('../../commands/metrics/keep-metrics.ts');
        const run = async (): Promise<CommandOutcome> =>
          await verify(context, { json: options.json === true, slice: read, progress: progressOutput(options) });
        return await rememberRun(context, 'verify', run, { readRatio: read === undefined ? 0 : 1 / read.of });
      });
    });
}

function slice(text: string): Slice {
  const parsed = parseSlice(text);
  if (parsed === undefined) throw new InvalidArgumentError('Write it as n/t, for example 1/7.');
  return parsed;
}
