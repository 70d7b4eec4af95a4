import type { DrillWords } from '../../commands/drill/drill-options.ts';
import { isAlive } from '../is-alive.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';
import { withProgressOptions, type ProgressFlags } from '../progress-options.ts';
import { optionSources, withTargetOptions } from '../recovery-options.ts';

interface DrillFlags extends CommonOptions, ProgressFlags, Omit<DrillWords, 'useRepo'> {}

export function addDrillCommand({ program, run, settings }: Companion): void {
  const command = program
    .command('drill')
    .description('recover into a scratch directory, look whether all is well, and measure how long it takes');
  withCommonOptions(command, 'reads');
  withProgressOptions(withTargetOptions(command))
    .option('--end-at-gap', 'where WAL is missing, end the recovery there')
    .option('--sql <FILE>', 'run this on the recovered server: each statement must return true')
    .option('-d, --dbname <NAME>', 'database that --sql asks (default: postgres)')
    .option('-U, --username <NAME>', 'superuser of the cluster (default: postgres, or who made it)')
    .option('--preload <LIBRARIES>', 'shared_preload_libraries of the private server (default: none)')
    .option('--pg-bin <DIR>', "directory of PostgreSQL's programs (default: looked for)")
    .option('--scratch-dir <DIR>', 'make the scratch directory in this one (default: TMPDIR, else /var/tmp)')
    .option('--keep-dir', 'keep the scratch directory')
    .option('--json', 'print JSON')
    .action(async (flags: DrillFlags) => {
      await run(flags, async (context) => {
        const { parseDrillOptions } = await import('../../commands/drill/drill-options.ts');
        const { drill } = await import('../../commands/drill.ts');
        const options = parseDrillOptions(flags, optionSources(context, settings, flags));
        return await drill(context, options, { uid: process.getuid?.() ?? 0, isAlive, pid: process.pid });
      });
    });
}
