import type { CommanderError } from 'commander';
import { WalholdError } from '../base/errors.ts';
import { unknownOption } from '../config/gather.ts';
import { notYet } from './not-yet.ts';

/** What commander found wrong with the command line, in PostgreSQL's form. `words`: what it was given. */
export function usageError(error: CommanderError, words: readonly string[]): WalholdError {
  const [first = '', suggestion] = error.message.split('\n');
  const message = first
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replaceAll("'", '"');
  if (error.code === 'commander.help' || words.length === 0) {
    return new WalholdError('usage', 'no command given', { hint: 'Try "walhold --help".' });
  }
  const [, what, unknown = ''] = /^unknown (command|option) "([^"]*)"$/.exec(message) ?? [];
  if (unknown === '--as-of') {
    return new WalholdError('usage', 'this command does not take --as-of: it works on what is stored now', {
      hint: 'Commands that only read take it: list, restore, status, verify, wal list, wal inspect.',
    });
  }
  const later = notYet(what === 'command' && words[0] === 'wal' ? `wal ${unknown}` : unknown);
  if (later !== undefined) return later;
  const ofSettings = what === 'option' ? unknownOption(unknown) : undefined;
  if (ofSettings?.hint?.startsWith('Did you mean') === true) return ofSettings;
  const meant = /\(Did you mean (?:one of )?(.+)\?\)/.exec(suggestion ?? '')?.[1];
  if (meant !== undefined) return new WalholdError('usage', message, { hint: `Did you mean "${meant}"?` });
  return ofSettings ?? new WalholdError('usage', message, { hint: 'Try "--help" after the command.' });
}
