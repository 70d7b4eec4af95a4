import type { DrillWords } from '../../commands/drill/drill-options.ts';
import { loadConfig } from '../../config/load.ts';
import { hostZone } from '../../postgres/target-time.ts';
import { isAlive } from '../is-alive.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';

interface DrillFlags extends CommonOptions, Omit<DrillWords, 'useRepo'> {
  progress?: boolean;
}

export function addDrillCommand({ program, run, settings }: Companion): void {
  const command = program
    .command('drill')
    .description('recover into a scratch directory, look whether all is well, and measure how long it takes');
  withCommonOptions(command, 'reads')
    .option('--backup <ID>', 'this backup, or latest (default: the one that fits the target)')
    .option('--target-time <TIME>', 'recover to this time; without a zone it is local time')
    .option('--target-lsn <LSN>', 'recover to this position in the WAL')
    .option('--target-xid <XID>', 'recover to the end of this transaction')
    .option('--target-name <NAME>', 'recover to this restore point')
    .option('--target-immediate', 'recover only until the backup is consistent')
    .option('--target-exclusive', 'stop right before the target')
    .option('--target-timeline <N>', 'follow this timeline, current or latest (default: the newest that holds WAL)')
    .option('--end-at-gap', 'where WAL is missing, end the recovery there')
    .option('--sql <FILE>', 'run this on the recovered server: each statement must return true')
    .option('-d, --dbname <NAME>', 'database that --sql asks (default: postgres)')
    .option('-U, --username <NAME>', 'superuser of the cluster (default: postgres, or who made it)')
    .option('--preload <LIBRARIES>', 'shared_preload_libraries of the private server (default: none)')
    .option('--pg-bin <DIR>', "directory of PostgreSQL's programs (default: looked for)")
    .option('--scratch-dir <DIR>', 'make the scratch directory in this one (default: TMPDIR, else /var/tmp)')
    .option('--keep-dir', 'keep the scratch directory')
    .option('-P, --progress', 'show progress of the restore')
    .option('--json', 'print JSON')
    .action(async (flags: DrillFlags) => {
      await run(flags, async (context) => {
        const { parseDrillOptions } = await import('../../commands/drill/drill-options.ts');
        const { drill } = await import('../../commands/drill.ts');
        const { environment, workingDirectory } = context;
        const options = parseDrillOptions(flags, {
          environment,
          workingDirectory,
          zone: hostZone,
          configFile: loadConfig(settings).configFile,
          progress:
            flags.progress === true
              ? { write: (text) => void process.stderr.write(text), isTerminal: process.stderr.isTTY }
              : undefined,
        });
        return await drill(context, options, { uid: process.getuid?.() ?? 0, isAlive, pid: process.pid });
      });
    });
}
