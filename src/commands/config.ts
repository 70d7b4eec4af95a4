import type { EffectiveSetting } from '../config/config.ts';
import { DEFAULT_CONFIG_FILE, describeSource, gatherSettings, type LoadInput } from '../config/gather.ts';
import { loadConfig } from '../config/load.ts';
import { missingRepository, repositoriesSet } from '../config/repositories.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { textTable } from './text-table.ts';

/**
 * Prints every setting with its value and source. Settings that are each right but make no configuration together are printed too,
 * before the error says what is wrong with them. That none names a repository yet is a warning: showing is all that is asked.
 */
export function showConfig(
  context: Omit<CommandContext, 'config'>,
  input: LoadInput,
  options: { json: boolean },
): CommandOutcome {
  const { settings, configFile, warnings } = gatherSettings(input);
  for (const warning of warnings) context.log.warning(warning);
  const shown = [...settings.values()].map((one) => ({
    name: one.name,
    value: withoutSecrets(one),
    source: describeSource(one.source),
  }));
  if (options.json) {
    context.print(`${JSON.stringify({ configFile: configFile ?? null, settings: shown }, undefined, 2)}\n`);
  } else {
    context.print(`configuration file: ${configFile ?? `${DEFAULT_CONFIG_FILE} (not there)`}\n\n`);
    const rows = shown.map(({ name, value, source }) => [name, value ?? '', source]);
    context.print(textTable(['SETTING', 'VALUE', 'SOURCE'], rows));
  }
  if (repositoriesSet(settings)[0]?.number === 1) {
    loadConfig(input);
  } else {
    const { message, detail, hint } = missingRepository();
    context.log.warning(message, { detail, hint });
  }
  return 'done';
}

/** Settings hold no secrets, but nothing stops anybody from writing `https://user:password@host`. */
function withoutSecrets(setting: EffectiveSetting): string | null {
  return setting.value?.replace(/:\/\/[^/@]*@/, '://***@') ?? null;
}
