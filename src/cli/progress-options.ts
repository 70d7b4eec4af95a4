import { type Command, Option } from 'commander';
import type { ProgressOutput } from '../commands/progress/views.ts';

export interface ProgressFlags {
  progress?: boolean;
  progressFormat?: 'text' | 'json';
}

/** `-P`, and for programs its form. */
export function withProgressOptions(command: Command): Command {
  return command
    .option('-P, --progress', 'show progress, if stderr is a terminal')
    .addOption(
      new Option('--progress-format <FORMAT>', 'form of the progress; json: for programs, a line an event').choices([
        'text',
        'json',
      ]),
    );
}

/** `undefined`: none is shown. JSON is for whoever reads it; lines that are written over are for terminals alone. */
export function progressOutput({ progress, progressFormat }: ProgressFlags): ProgressOutput | undefined {
  const write = (text: string): void => void process.stderr.write(text);
  if (progressFormat === 'json') return { write, format: 'json' };
  const wanted = progress === true || progressFormat === 'text';
  return wanted && process.stderr.isTTY ? { write, format: 'text' } : undefined;
}
