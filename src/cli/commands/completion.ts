import { Argument, type Command } from 'commander';
import { SHELLS, type CompletedCommand, type Shell } from '../../commands/completion.ts';
import { flagOf } from '../../config/setting-name.ts';
import { SETTINGS } from '../../config/settings.ts';
import type { Companion } from '../companion.ts';

export function addCompletionCommand({ program, runWithoutConfig }: Companion): void {
  program
    .command('completion')
    .description('print a script that makes a shell complete commands and options')
    .addArgument(new Argument('<SHELL>').choices([...SHELLS]))
    .action(async (shell: Shell) => {
      await runWithoutConfig(async (context) => {
        const { printCompletion } = await import('../../commands/completion.ts');
        const settings = SETTINGS.filter(({ lacking }) => lacking === undefined).map(({ name }) => flagOf(name));
        return printCompletion(context, shell, completed(program, ''), ['--config', ...settings]);
      });
    });
}

function completed(command: Command, path: string): CompletedCommand[] {
  const options = [...command.options.flatMap(({ long }) => long ?? []), '--help'];
  const children = command.commands.map((child) => child.name());
  const below = command.commands.flatMap((child) =>
    completed(child, path === '' ? child.name() : `${path} ${child.name()}`),
  );
  return [{ path, children, options }, ...below];
}
