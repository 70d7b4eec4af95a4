import { InvalidArgumentError } from 'commander';
import { MAX_REPOSITORIES } from '../../config/settings.ts';
import { progressOutput, withProgressOptions, type ProgressFlags } from '../progress-options.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';

interface CopyFlags extends CommonOptions, ProgressFlags {
  from: number;
  to: number;
  quick?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function addRepoCommand({ program, run }: Companion): void {
  const repo = program.command('repo').description('repositories as a whole: copy').helpCommand(false);
  const command = repo
    .command('copy')
    .description('fill a repository from another: what it lacks is verified and stored, nothing is overwritten');
  withProgressOptions(withCommonOptions(command, 'writes'))
    .requiredOption('--from <N>', 'the repository to read (1 for repo, 2 for repo2)', repositoryNumber)
    .requiredOption('--to <N>', 'the repository to fill', repositoryNumber)
    .option('--quick', 'take what has the same name and size for the same')
    .option('-n, --dry-run', 'only show what is missing')
    .option('--json', 'print JSON')
    .action(async (flags: CopyFlags) => {
      const { from, to, quick = false, dryRun = false, json = false } = flags;
      const progress = progressOutput(flags);
      await run(flags, async (context) => {
        const { repoCopy } = await import('../../commands/repo-copy.ts');
        return await repoCopy(context, { from, to, quick, dryRun, json, progress });
      });
    });
}

function repositoryNumber(text: string): number {
  const number = Number(text);
  if (/^\d$/.test(text) && number >= 1 && number <= MAX_REPOSITORIES) return number;
  throw new InvalidArgumentError(`It is not a number from 1 to ${MAX_REPOSITORIES}.`);
}
