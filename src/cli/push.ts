/** The process behind `walhold-push`. */
import { WalholdError } from '../base/errors.ts';
import { runHook } from './hook.ts';

const HELP = `walhold-push stores one WAL file in every repository, for PostgreSQL's archive_command.

Usage:
  archive_command = 'walhold-push %p'
  walhold-push [--config FILE] [--SETTING VALUE]... PATH

Settings come from options, the environment (WALHOLD_SETTING) and the configuration file, in that order;
"walhold config" shows them.

EXIT STATUS
  0  the file is durable in every repository, or its identical content already was
  1  anything else; PostgreSQL keeps the file and calls again
  2  wrong usage or configuration
`;

await runHook({
  program: 'walhold-push',
  help: HELP,
  async run(words, context) {
    const [path, ...others] = words[0] === '--' ? words.slice(1) : words;
    if (path === undefined || path === '' || others.length > 0 || (path.startsWith('-') && words[0] !== '--')) {
      throw new WalholdError('usage', 'expected one argument, the path of a WAL file', {
        detail: `got: ${words.join(' ') || 'nothing'}`,
        hint: "Call it as archive_command = 'walhold-push %p'.",
      });
    }
    const { push } = await import('../commands/push.ts');
    await push(path, context);
    return 'stored';
  },
});
