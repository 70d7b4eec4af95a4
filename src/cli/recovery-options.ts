import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import type { CommandContext } from '../commands/command-context.ts';
import type { OptionSources } from '../commands/restore/restore-options.ts';
import { hostZone } from '../postgres/target-time.ts';
import type { Companion } from './companion.ts';
import { progressOutput, type ProgressFlags } from './progress-options.ts';

/** Which backup, and what to recover to. */
export function withTargetOptions(command: Command): Command {
  return command
    .option('--backup <ID>', 'this backup, or latest (default: the one that fits the target)')
    .option('--target-time <TIME>', 'recover to this time; without a zone it is local time')
    .option('--target-lsn <LSN>', 'recover to this position in the WAL')
    .option('--target-xid <XID>', 'recover to the end of this transaction')
    .option('--target-name <NAME>', 'recover to this restore point')
    .option('--target-immediate', 'recover only until the backup is consistent')
    .option('--target-exclusive', 'stop right before the target')
    .option('--target-timeline <N>', 'follow this timeline, current or latest (default: the newest that holds WAL)');
}

/** What the words of such a command are read by, and where it shows its progress. */
export function optionSources(
  { environment, workingDirectory }: Pick<CommandContext, 'environment' | 'workingDirectory'>,
  settings: Companion['settings'],
  progress: ProgressFlags,
): OptionSources {
  return {
    environment,
    workingDirectory,
    zone: hostZone,
    configFile: loadConfig(settings).configFile,
    progress: progressOutput(progress),
  };
}
