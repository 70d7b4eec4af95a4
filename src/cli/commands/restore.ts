import { Option } from 'commander';
import type { RestoreWords } from '../../commands/restore/restore-options.ts';
import { isAlive } from '../is-alive.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';
import { withProgressOptions, type ProgressFlags } from '../progress-options.ts';
import { optionSources, withTargetOptions } from '../recovery-options.ts';

interface RestoreFlags extends CommonOptions, ProgressFlags, Omit<RestoreWords, 'useRepo'> {}

export function addRestoreCommand({ program, run, settings }: Companion): void {
  const command = program
    .command('restore')
    .description('bring a backup back into a directory, ready to be recovered to a target');
  withCommonOptions(command, 'reads').option(
    '-D, --pgdata <DIR>',
    'new or empty directory, or one for --delta (default: PGDATA)',
  );
  withProgressOptions(withTargetOptions(command))
    .option('--target-action <ACTION>', 'pause, promote or shutdown at the target (default: pause)')
    .option('-T, --tablespace-mapping <OLD=NEW>', 'put the tablespace at OLD into NEW; may be repeated', collect)
    .option('--standby', 'make a standby, which goes on following')
    .option('--archive-mode <MODE>', 'preserve the setting, or turn archiving off')
    .option('--end-at-gap', 'where WAL is missing, end the recovery there')
    .option('--config-dir <DIR>', 'where configuration from outside the data directory goes (default: a folder in it)')
    .option('--dry-run', 'only plan: fails if the target cannot be reached')
    .addOption(new Option('--plan', 'the same as --dry-run'))
    .option('--json', 'print the plan, and what was done, as JSON')
    .option(
      '--delta',
      "into this cluster's stopped data directory: keep files that match, remove what is not in the backup",
    )
    .option('--only-db <NAME>', 'restore this database only, others as zeros to be dropped; may be repeated', collect)
    .action(async (flags: RestoreFlags) => {
      await run(flags, async (context) => {
        const { parseRestoreOptions } = await import('../../commands/restore/restore-options.ts');
        const { restore } = await import('../../commands/restore.ts');
        const options = parseRestoreOptions(flags, optionSources(context, settings, flags));
        return await restore(context, options, { uid: process.getuid?.() ?? 0, isAlive });
      });
    });
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
