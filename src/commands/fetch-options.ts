import { WalholdError } from '../base/errors.ts';

/** The options of a fetch's own, as given, and its operands; all others are settings. */
export interface FetchOptionWords {
  useRepo?: string;
  asOf?: string;
  operands: string[];
}

const OPTIONS = { '--use-repo': 'useRepo', '--as-of': 'asOf' } as const;

/** `words`: the command line without settings. Throws `usage`. */
export function takeFetchOptions(words: readonly string[]): FetchOptionWords {
  const taken: FetchOptionWords = { operands: [] };
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const [, flag = word, value] = /^(--[^=]*)=(.*)$/s.exec(word) ?? [];
    if (word === '--') {
      taken.operands.push(...words.slice(at + 1));
      break;
    }
    if (flag === '--use-repo' || flag === '--as-of') taken[OPTIONS[flag]] = value ?? words[++at] ?? '';
    else if (word.startsWith('-')) {
      throw new WalholdError('usage', `unknown option "${word}"`, { hint: 'See --help for the options there are.' });
    } else taken.operands.push(word);
  }
  return taken;
}
