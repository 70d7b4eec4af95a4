/**
 * Settings from flags, environment, file and defaults, in that order, each with its source. Everything wrong is one error that
 * names its place; the first one found is thrown. Pure but for `readFile`.
 */
import { isAbsolute } from 'node:path';
import { WalholdError, reasonOf, systemCode } from '../base/errors.ts';
import { parseConf } from '../postgres/conf-file.ts';
import type { SplitArguments } from './arguments.ts';
import type { EffectiveSetting, SettingSource } from './config.ts';
import { findSetting, flagOf, nearestSetting, settingNames, variableOf, type NamedSetting } from './setting-name.ts';
import { parseSettingValue } from './setting-value.ts';

export const DEFAULT_CONFIG_FILE = '/etc/walhold/walhold.conf';

export interface LoadInput {
  arguments: Pick<SplitArguments, 'configFile' | 'flags'>;
  environment: Readonly<Record<string, string | undefined>>;
  /** Reads a whole file as UTF-8; throws as `fs.readFileSync` does. */
  readFile: (path: string) => string;
}

export interface Gathered {
  /** By name, in the table's order; settings of repositories that are not configured only where somebody set them. */
  settings: ReadonlyMap<string, EffectiveSetting>;
  /** The file that was read; `undefined` if there was none at the default place. */
  configFile: string | undefined;
  /** To be logged once. */
  warnings: readonly string[];
}

/** Throws `config` or `unsupported`. Whether the settings make sense together is not judged here. */
export function gatherSettings(input: LoadInput): Gathered {
  const file = readSettings(input);
  const { variables, warnings } = environmentSettings(input.environment);
  const settings = new Map<string, EffectiveSetting>();
  for (const named of settingNames()) {
    const { name, setting } = named;
    const flag = input.arguments.flags.get(name);
    const variable = variables.get(name);
    const inFile = file.values.get(name);
    const found: EffectiveSetting =
      flag !== undefined
        ? { name, value: flag, source: { kind: 'flag', flag: flagOf(name) } }
        : variable !== undefined
          ? { name, value: variable, source: { kind: 'environment', variable: variableOf(name) } }
          : inFile !== undefined
            ? { name, value: inFile.value, source: { kind: 'file', file: file.path, line: inFile.line } }
            : { name, value: setting.default, source: { kind: 'default' } };
    refuseBadValue(named, found);
    settings.set(name, found);
  }
  for (const { name, repository } of settingNames()) {
    const idle = (repository ?? 1) > 1 && settings.get(`repo${repository}`)?.value === undefined;
    if (idle && settings.get(name)?.source.kind === 'default') settings.delete(name);
  }
  return { settings, configFile: file.found ? file.path : undefined, warnings };
}

interface FileSettings {
  path: string;
  found: boolean;
  values: ReadonlyMap<string, { value: string; line: number }>;
}

function readSettings(input: LoadInput): FileSettings {
  const named = input.arguments.configFile ?? nonEmpty(input.environment['WALHOLD_CONFIG']);
  const path = named ?? DEFAULT_CONFIG_FILE;
  let text: string;
  try {
    text = input.readFile(path);
  } catch (error) {
    if (named === undefined && systemCode(error) === 'ENOENT') return { path, found: false, values: new Map() };
    throw new WalholdError('config', `could not read the configuration file "${path}"`, {
      detail: reasonOf(error),
      hint: 'Name it with --config or WALHOLD_CONFIG, and let this user read it.',
      cause: error,
    });
  }
  return { path, found: true, values: fileValues(path, text) };
}

function fileValues(path: string, text: string): Map<string, { value: string; line: number }> {
  const parsed = parseConf(text);
  const at = (line: number): string => `${path}, line ${line}`;
  const [error] = parsed.errors;
  if (error !== undefined) {
    throw new WalholdError('config', `${at(error.line)}: ${error.message}`, { hint: "Write name = 'value'." });
  }
  const [include] = parsed.includes;
  if (include !== undefined) {
    throw new WalholdError('config', `${at(include.line)}: ${include.directive} is not possible here`, {
      hint: 'Put all settings into one file.',
    });
  }
  const values = new Map<string, { value: string; line: number }>();
  for (const { name, value, line } of parsed.entries) {
    if (findSetting(name) === undefined) throw unknownSetting(`${at(line)}: unknown setting "${name}"`, name);
    values.set(name, { value, line });
  }
  return values;
}

function environmentSettings(environment: LoadInput['environment']): {
  variables: Map<string, string>;
  warnings: string[];
} {
  const variables = new Map<string, string>();
  const unknown: string[] = [];
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('WALHOLD_') || variable === 'WALHOLD_CONFIG' || nonEmpty(value) === undefined) continue;
    const name = variable.slice('WALHOLD_'.length).toLowerCase();
    if (findSetting(name) !== undefined && variableOf(name) === variable) variables.set(name, value ?? '');
    else if (!variable.startsWith('WALHOLD_TEST_')) unknown.push(variable);
  }
  const warnings =
    unknown.length === 0 ? [] : [`unknown environment variables are ignored: ${unknown.sort().join(', ')}`];
  return { variables, warnings };
}

function refuseBadValue(named: NamedSetting, found: EffectiveSetting): void {
  if (found.value === undefined) return;
  const { setting } = named;
  const place = placeOf(found);
  const parsed = parseSettingValue(setting.type, found.value);
  if (!parsed.ok) {
    throw new WalholdError('config', `${place}: bad value for ${found.name}`, {
      detail: parsed.message,
      hint: `${found.name}: ${setting.help}.`,
    });
  }
  if (setting.lacking !== undefined && found.source.kind !== 'default') {
    throw new WalholdError('unsupported', `${place}: ${found.name} is not supported by this version`, {
      detail: `this version has no ${setting.lacking}`,
      hint: 'Remove the setting, or use a newer version of walhold.',
    });
  }
  if (setting.type.kind === 'path' && setting.name !== 'spool_path' && !isAbsolute(found.value)) {
    throw new WalholdError('config', `${place}: bad value for ${found.name}`, {
      detail: `"${found.value}" is not an absolute path`,
      hint: 'PostgreSQL and you call walhold from different directories: write the whole path.',
    });
  }
}

/** Where a setting was found, for messages. */
export function placeOf(found: EffectiveSetting): string {
  return describeSource(found.source);
}

/** `walhold.conf, line 3`, `environment variable WALHOLD_REPO`, `option --repo`, `default`. */
export function describeSource(source: SettingSource): string {
  switch (source.kind) {
    case 'default':
      return 'default';
    case 'file':
      return `${source.file}, line ${source.line}`;
    case 'environment':
      return `environment variable ${source.variable}`;
    case 'flag':
      return `option ${source.flag}`;
  }
}

function unknownSetting(message: string, name: string): WalholdError {
  const near = nearestSetting(name);
  return new WalholdError('config', message, {
    hint: near === undefined ? 'See "walhold config" for the settings there are.' : `Did you mean "${near}"?`,
  });
}

/** An option `--x` that is no setting and no option of the command: the same words as for a file. */
export function unknownOption(flag: string): WalholdError {
  const near = nearestSetting(flag.replace(/^-+/, '').replaceAll('-', '_'));
  return new WalholdError('usage', `unknown option "${flag}"`, {
    hint: near === undefined ? 'See --help for the options there are.' : `Did you mean "${flagOf(near)}"?`,
  });
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
