import { WalholdError } from '../base/errors.ts';

/** What a newer version has; all else that is not known is a mistake of whoever typed it. */
const COMMANDS: ReadonlySet<string> = new Set(['dump', 'wal find']);

/** The refusal of a command that this version lacks; `undefined`: it is none of those. */
export function notYet(word: string): WalholdError | undefined {
  if (!COMMANDS.has(word)) return undefined;
  return new WalholdError('unsupported', `"${word}" is not supported by this version`, {
    hint: 'See --help for what there is, or use a newer version of walhold.',
  });
}
