/** The configured command lines must fail where they cannot succeed: an empty launcher, or a missing one behind `;`, would not. */
import { fillPlaceholders } from '../../postgres/hook-command.ts';
import { runHookLine, type HookRun } from '../../server/run-hook.ts';
import type { CommandContext } from '../command-context.ts';
import { failedLook, item, notChecked, type CheckItem } from './check-item.ts';

/** No file of PostgreSQL's has such a name, and none lies at such a path. */
const IMPOSSIBLE = 'walhold-check-impossible';

interface HookInput {
  settings: ReadonlyMap<string, string> | undefined;
  dataDirectory: string | undefined;
  /** The postmaster's process. */
  pid: number | undefined;
}

export interface HookChecks {
  items: CheckItem[];
  /** Why the server cannot archive at all; `undefined`: nothing says so. */
  noArchiving: string | undefined;
}

export async function hookChecks(context: CommandContext, input: HookInput): Promise<HookChecks> {
  const archive = await hookCheck(context, input, 'archive_command');
  const items = [archive.item];
  // A primary needs none.
  if ((input.settings?.get('restore_command') ?? '') !== '') {
    items.push((await hookCheck(context, input, 'restore_command')).item);
  }
  const empty = input.settings?.get('archive_command') === '' ? 'archive_command is empty' : undefined;
  const unusable = archive.run?.status === 126 || archive.run?.status === 127;
  return { items, noArchiving: unusable ? 'archive_command cannot be run' : empty };
}

async function hookCheck(
  context: CommandContext,
  { settings, dataDirectory, pid }: HookInput,
  setting: 'archive_command' | 'restore_command',
): Promise<{ item: CheckItem; run?: HookRun }> {
  const name = `${setting} fails`;
  const expected = 'an exit status from 1 to 125 for a file that cannot be';
  const line = settings?.get(setting);
  const unknown = (why: string, hint?: string): { item: CheckItem } => ({
    item: notChecked(name, why, expected, hint),
  });
  if (line === undefined) return unknown('the setting is not known', 'Name the server with -d.');
  if (line === '') return unknown('the setting is empty');
  if (dataDirectory === undefined) return unknown('the data directory is not known', 'Name it with -D.');
  const values = { p: `pg_wal/${IMPOSSIBLE}/${IMPOSSIBLE}`, f: IMPOSSIBLE, r: '000000010000000000000001' };
  try {
    const { clock, signal, environment } = context;
    const run = await runHookLine(fillPlaceholders(line, values), dataDirectory, { pid, environment, clock, signal });
    const judged = setting === 'archive_command' ? judgeArchive(name, expected, run) : judgeRestore(name, line, run);
    return { item: judged, run };
  } catch (error) {
    return { item: failedLook(name, expected, error) };
  }
}

function judgeArchive(name: string, expected: string, { status, said }: HookRun): CheckItem {
  if (status === undefined) return item(name, false, 'it did not end within a minute', expected, 'Run it by hand.');
  if (status === 0) {
    const hint =
      'The server would take files for stored that are not: look at the command and at the program that it calls.';
    return item(name, false, 'it ended with 0', expected, hint);
  }
  const ok = status <= 125;
  const hint = ok ? undefined : `It cannot be run as the server runs it: ${said === '' ? 'look at its path' : said}.`;
  return item(name, ok, `it ended with ${status}`, expected, hint);
}

/** walhold-fetch gives 200, which whatever stands around it must hand on; of other commands only success would be wrong. */
function judgeRestore(name: string, line: string, { status, said }: HookRun): CheckItem {
  const least = line.includes('walhold-fetch') ? 126 : 1;
  const expected = `an exit status ${least === 1 ? 'other than 0' : 'above 125'} for a file that cannot be`;
  if (status === undefined) return item(name, false, 'it did not end within a minute', expected, 'Run it by hand.');
  const found = `it ended with ${status}`;
  if (status === 0) return item(name, false, found, expected, 'Recovery would take what is not there for restored.');
  if (status < least) {
    const hint = 'An outage would end a recovery: let nothing but walhold-fetch decide how the command ends.';
    return item(name, false, found, expected, hint);
  }
  if (status !== 126 && status !== 127) return item(name, true, found, expected);
  return item(
    name,
    false,
    found,
    expected,
    `It cannot be run as the server runs it: ${said === '' ? 'look at its path' : said}.`,
  );
}
