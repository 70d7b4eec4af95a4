import { InvalidArgumentError, Option, type Command } from 'commander';
import { ROLES, type Role } from '../../commands/lock/s3-policy.ts';
import { withCommonOptions, type CommonOptions, type Companion } from '../companion.ts';

export function addLockCommand(companion: Companion): void {
  const lock = companion.program
    .command('lock')
    .description('locks against deletion: status, extend, hold, release, policy')
    .helpCommand(false);
  addStatus(lock, companion);
  addExtend(lock, companion);
  addHold(lock, companion, true);
  addHold(lock, companion, false);
  addPolicy(lock, companion);
}

function addStatus(lock: Command, { run }: Companion): void {
  const command = lock.command('status').description('what is protected until when, and what that is needed is not');
  withCommonOptions(command, 'checks')
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions & { json?: boolean }) => {
      await run(options, async (context) => {
        const { lockStatus } = await import('../../commands/lock/lock-status.ts');
        return await lockStatus(context, { json: options.json === true });
      });
    });
}

function addExtend(lock: Command, { run }: Companion): void {
  const command = lock
    .command('extend')
    .description('lengthen what is needed for longer than it is locked; cheap enough for every day');
  withCommonOptions(command, 'checks')
    .option('--dry-run', 'only say what would be lengthened')
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions & { dryRun?: boolean; json?: boolean }) => {
      await run(options, async (context) => {
        const { lockExtend } = await import('../../commands/lock/lock-extend.ts');
        return await lockExtend(context, { dryRun: options.dryRun === true, json: options.json === true });
      });
    });
}

function addHold(lock: Command, { run }: Companion, on: boolean): void {
  const command = lock
    .command(on ? 'hold' : 'release')
    .description(
      on
        ? 'put a legal hold on a backup and all that its restore needs'
        : 'lift the hold of a backup, but for what another held one needs',
    )
    .argument('<BACKUP-ID>', 'as "walhold list" shows it');
  withCommonOptions(command, 'checks')
    .option('--json', 'print JSON')
    .action(async (backup: string, options: CommonOptions & { json?: boolean }) => {
      await run(options, async (context) => {
        const { lockHold } = await import('../../commands/lock/lock-hold.ts');
        return await lockHold(context, { backup, on, json: options.json === true });
      });
    });
}

interface PolicyFlags extends CommonOptions {
  for?: Role;
  bucket?: boolean;
  withHolds?: boolean;
  repoNumber?: number;
}

function addPolicy(lock: Command, { run }: Companion): void {
  const command = lock
    .command('policy')
    .description('print a least-privilege policy to paste, made from the settings in force');
  withCommonOptions(command, 'writes')
    .addOption(new Option('--for <ROLE>', 'whose rights').choices(ROLES))
    .option('--bucket', 'what the bucket itself refuses to everybody')
    .option('--with-holds', 'of the extender: may set and lift legal holds, too')
    .option('--repo-number <N>', 'for this repository (default: the first)', repositoryNumber)
    .action(async (flags: PolicyFlags) => {
      await run(flags, async (context) => {
        const { lockPolicy } = await import('../../commands/lock/lock-policy.ts');
        const { for: role, bucket = false, withHolds = false, repoNumber } = flags;
        return lockPolicy(context, { role, bucket, withHolds, repository: repoNumber });
      });
    });
}

function repositoryNumber(text: string): number {
  if (!/^[1-9]$/.test(text)) throw new InvalidArgumentError('It is not a repository number.');
  return Number(text);
}
