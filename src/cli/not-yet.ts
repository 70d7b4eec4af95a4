import { WalholdError } from '../base/errors.ts';

/** What a newer version has; all else that is not known is a mistake of whoever typed it. */
const COMMANDS: ReadonlySet<string> = new Set([
  'drill',
  'report',
  'lock',
  'expire',
  'dump',
  'repo',
  'wal resolve',
  'wal find',
]);
const OPTIONS: ReadonlySet<string> = new Set(['--as-of']);

/** The refusal of a command or an option that this version lacks; `undefined`: it is none of those. */
export function notYet(word: string): WalholdError | undefined {
  if (!COMMANDS.has(word) && !OPTIONS.has(word)) return undefined;
  return new WalholdError('unsupported', `"${word}" is not supported by this version`, {
    hint: 'See --help for what there is, or use a newer version of walhold.',
  });
}
