import { quoteCommandWord } from '../../postgres/shell-quote.ts';
import type { EffectiveSetting } from '../../config/config.ts';
import { flagOf } from '../../config/setting-name.ts';

export interface RestoreCommandInput {
  /** Absolute path of `walhold-fetch`. */
  fetch: string;
  /** Absolute; `undefined`: none was read. */
  configFile: string | undefined;
  settings: readonly EffectiveSetting[];
  /** `--use-repo`. */
  useRepo: string | undefined;
  /** `--as-of`, with its offset: then the whole recovery runs on the repositories as they were. */
  asOf: string | undefined;
  /** The missing segment at which WAL may end. */
  allowGap: string | undefined;
}

/** Of the restore itself, not of what the server runs. */
const NOT_PASSED: ReadonlySet<string> = new Set(['allow_gap', 'jobs', 'log_level', 'metrics_file']);

/**
 * The `restore_command` that finds the same repositories as this restore did, whatever the server's environment and working
 * directory are. Secrets are not among the settings.
 */
export function restoreCommandLine(input: RestoreCommandInput): string {
  const { fetch, configFile, settings, useRepo, asOf, allowGap } = input;
  const words = [fetch];
  if (configFile !== undefined) words.push('--config', configFile);
  for (const { name, value, source } of settings) {
    if (NOT_PASSED.has(name) || value === undefined) continue;
    if (source.kind === 'flag' || source.kind === 'environment') words.push(flagOf(name), value);
  }
  if (useRepo !== undefined) words.push('--use-repo', useRepo);
  if (asOf !== undefined) words.push('--as-of', asOf);
  if (allowGap !== undefined) words.push(flagOf('allow_gap'), allowGap);
  return `${words.map(quoteCommandWord).join(' ')} %f %p`;
}

/** Variables that hold credentials, or name them: the server needs them too, and they are never written down. */
export function credentialVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(environment)
    .filter((name) => /^(AWS_|GOOGLE_APPLICATION_CREDENTIALS$)/.test(name) && environment[name] !== '')
    .sort();
}
