import { Option } from 'commander';
import type { RestoreWords } from '../../commands/restore/restore-options.ts';
import { loadConfig } from '../../config/load.ts';
import { hostZone } from '../../postgres/target-time.ts';
import { isAlive } from '../is-alive.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';

interface RestoreFlags extends CommonOptions, Omit<RestoreWords, 'useRepo'> {
  progress?: boolean;
}

export function addRestoreCommand({ program, run, settings }: Companion): void {
  const command = program
    .command('restore')
    .description('bring a backup back into an empty directory, ready to be recovered to a target');
  withCommonOptions(command, 'reads')
    .option('-D, --pgdata <DIR>', 'new or empty directory (default: PGDATA)')
    .option('--backup <ID>', 'this backup, or latest (default: the one that fits the target)')
    .option('--target-time <TIME>', 'recover to this time; without a zone it is local time')
    .option('--target-lsn <LSN>', 'recover to this position in the WAL')
    .option('--target-xid <XID>', 'recover to the end of this transaction')
    .option('--target-name <NAME>', 'recover to this restore point')
    .option('--target-immediate', 'recover only until the backup is consistent')
    .option('--target-exclusive', 'stop right before the target')
    .option('--target-timeline <N>', 'follow this timeline, current or latest (default: the newest that holds WAL)')
    .option('--target-action <ACTION>', 'pause, promote or shutdown at the target (default: pause)')
    .option('-T, --tablespace-mapping <OLD=NEW>', 'put the tablespace at OLD into NEW; may be repeated', collect)
    .option('--standby', 'make a standby, which goes on following')
    .option('--archive-mode <MODE>', 'preserve the setting, or turn archiving off')
    .option('--end-at-gap', 'where WAL is missing, end the recovery there')
    .option('--config-dir <DIR>', 'where configuration from outside the data directory goes (default: a folder in it)')
    .option('--dry-run', 'only plan: fails if the target cannot be reached')
    .addOption(new Option('--plan', 'the same as --dry-run'))
    .option('--json', 'print the plan as JSON')
    .option('-P, --progress', 'show progress')
    .addOption(new Option('--delta', 'keep files that match').hideHelp())
    .addOption(new Option('--only-db <NAME>', 'restore one database').hideHelp())
    .action(async (flags: RestoreFlags) => {
      await run(flags, async (context) => {
        const { parseRestoreOptions } = await import('../../commands/restore/restore-options.ts');
        const { restore } = await import('../../commands/restore.ts');
        const { environment, workingDirectory } = context;
        const options = parseRestoreOptions(flags, {
          environment,
          workingDirectory,
          zone: hostZone,
          configFile: loadConfig(settings).configFile,
          progress:
            flags.progress === true
              ? { write: (text) => void process.stderr.write(text), isTerminal: process.stderr.isTTY }
              : undefined,
        });
        return await restore(context, options, { uid: process.getuid?.() ?? 0, isAlive });
      });
    });
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
