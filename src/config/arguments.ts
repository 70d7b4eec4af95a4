import { WalholdError } from '../base/errors.ts';
import { findSetting, flagOf } from './setting-name.ts';

/** Settings that stood on the command line, and what is left of it. */
export interface SplitArguments {
  /** `--config`, if given; the last one counts. */
  configFile: string | undefined;
  /** Setting name (`repo2_s3_endpoint`) to value as written; the last one counts. */
  flags: ReadonlyMap<string, string>;
  /** Everything else, in order: sub-command, its options and operands. */
  rest: readonly string[];
}

/**
 * Takes `--config FILE` and every `--setting-name VALUE` (or `=VALUE`) out of `argv`, wherever they stand before a `--`.
 * `short` maps further spellings to settings (`-j` to `jobs`). Throws `usage` when a value is missing.
 */
export function splitArguments(argv: readonly string[], short: Readonly<Record<string, string>> = {}): SplitArguments {
  const flags = new Map<string, string>();
  const rest: string[] = [];
  let configFile: string | undefined;
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    if (argument === '--') {
      rest.push(...argv.slice(at));
      break;
    }
    const { flag, attached } = splitFlag(argument, short);
    const name = flag === '--config' ? 'config' : (short[flag] ?? settingOfFlag(flag));
    if (name === undefined) {
      rest.push(argument);
      continue;
    }
    const value = attached ?? argv[++at];
    if (value === undefined) {
      throw new WalholdError('usage', `the option ${flag} needs a value`, { hint: `Write ${flag} VALUE.` });
    }
    if (name === 'config') configFile = value;
    else flags.set(name, value);
  }
  return { configFile, flags, rest };
}

function splitFlag(argument: string, short: Readonly<Record<string, string>>): { flag: string; attached?: string } {
  const equals = argument.indexOf('=');
  if (argument.startsWith('--') && equals > 0) {
    return { flag: argument.slice(0, equals), attached: argument.slice(equals + 1) };
  }
  const two = argument.slice(0, 2);
  if (!argument.startsWith('--') && argument.length > 2 && short[two] !== undefined) {
    return { flag: two, attached: argument.slice(2) };
  }
  return { flag: argument };
}

function settingOfFlag(flag: string): string | undefined {
  if (!flag.startsWith('--')) return undefined;
  const name = flag.slice(2).replaceAll('-', '_');
  // Only the documented spelling: `--s3_endpoint` stays unknown, so that there is one way to write each flag.
  return findSetting(name) !== undefined && flagOf(name) === flag ? name : undefined;
}
