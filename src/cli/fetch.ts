/** The process behind `walhold-fetch`. */
import { WalholdError } from '../base/errors.ts';
import { parseAsOf } from '../commands/as-of.ts';
import { takeFetchOptions } from '../commands/fetch-options.ts';
import { hostZone } from '../postgres/target-time.ts';
import { runHook } from './hook.ts';

const HELP = `walhold-fetch brings one WAL file from the first repository that has it, for PostgreSQL's restore_command.

Usage:
  restore_command = 'walhold-fetch %f %p'
  walhold-fetch [--config FILE] [--use-repo N] [--as-of TIME] [--SETTING VALUE]... NAME PATH

With --as-of the repositories are read as they were then, as far as they keep versions.

Settings come from options, the environment (WALHOLD_SETTING) and the configuration file, in that order;
"walhold config" shows them.

EXIT STATUS
  0    the file is complete, verified and in place
  1    the file is proven absent in every repository; in a standby also: the archive cannot be used now
  143  told to stop
  200  could not find out, or what was found is damaged, or WAL has a hole there: recovery must not go on
`;

await runHook({
  program: 'walhold-fetch',
  help: HELP,
  async run(words, context) {
    const { useRepo, asOf, operands } = takeFetchOptions(words);
    const [name, target, ...others] = operands;
    if (name === undefined || target === undefined || target === '' || others.length > 0) {
      throw new WalholdError('usage', 'expected two arguments, the name of a WAL file and the path to put it', {
        detail: `got: ${words.join(' ') || 'nothing'}`,
        hint: "Call it as restore_command = 'walhold-fetch %f %p'.",
      });
    }
    const { fetchWal } = await import('../commands/fetch.ts');
    return fetchWal(
      { name, target, useRepo, asOf: asOf === undefined ? undefined : parseAsOf(asOf, hostZone) },
      context,
    );
  },
});
