import { type Command, Option } from 'commander';
import type { ProgressOutput } from '../commands/progress/views.ts';

export interface ProgressFlags {
  progress?: boolean;
  progressFormat?: 'text' | 'json';
}

/** `-P`, and for programs its form. */
export function withProgressOptions(command: Command): Command {
  return command
    .option('-P, --progress', 'show progress on stderr')
    .addOption(
      new Option('--progress-format <FORMAT>', 'form of the progress; json: for programs, a line an event').choices([
        'text',
        'json',
      ]),
    );
}

/** `undefined`: none is shown. Lines that are written over are for terminals alone. */
export function progressOutput({ progress, progressFormat }: ProgressFlags): ProgressOutput | undefined {
  const write = (text: string): void => void process.stderr.write(text);
  if (progressFormat === 'json') return { write, format: 'json' };
  if (progress !== true && progressFormat !== 'text') return undefined;
  return { write, format: process.stderr.isTTY ? 'terminal' : 'lines' };
}
