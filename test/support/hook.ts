import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { installedForOthers } from './installed.ts';
import { quoted, type Settings } from './server-settings.ts';

export interface HookOptions {
  /** The configuration file, as `--config`. */
  config?: string;
  /** Set for this command alone. */
  env?: Readonly<Record<string, string>>;
  /** Further words of the command line, before PostgreSQL's own. */
  flags?: readonly string[];
}

/** The value of `archive_command` that calls the built `walhold-push`. */
export async function archiveCommand(options: HookOptions = {}): Promise<string> {
  return await hookCommand('walhold-push', ['%p'], options);
}

/** The value of `restore_command` that calls the built `walhold-fetch`. */
export async function restoreCommand(options: HookOptions = {}): Promise<string> {
  return await hookCommand('walhold-fetch', ['%f', '%p'], options);
}

/** A configuration file of walhold's in the cluster's place; returns its path. */
export async function writeConfig(cluster: Cluster, settings: Settings, name = 'walhold.conf'): Promise<string> {
  const lines = Object.entries(settings).map(([setting, value]) => `${setting} = ${quoted(value)}\n`);
  return await cluster.place.file(name, lines.join(''));
}

/** Has the server archive into what a configuration file names, from the next start on. */
export async function archiveInto(cluster: Cluster, options: HookOptions): Promise<void> {
  await cluster.configure({ archive_mode: 'on', archive_command: await archiveCommand(options) });
}

/** Runs a built executable as the server's user would. */
export async function built(name: 'walhold' | 'walhold-push' | 'walhold-fetch'): Promise<string> {
  return join(await installedForOthers(), 'bin', name);
}

async function hookCommand(
  name: 'walhold-push' | 'walhold-fetch',
  placeholders: readonly string[],
  { config, env = {}, flags = [] }: HookOptions,
): Promise<string> {
  const assignments = Object.entries(env).map(([variable, value]) => `${variable}=${word(value)}`);
  const configured = config === undefined ? [] : ['--config', config];
  const words = [await built(name), ...configured, ...flags].map(word);
  return [...assignments, ...words, ...placeholders].join(' ');
}

/** One word for the shell, and with no `%` left that the server would replace. */
function word(text: string): string {
  return `'${text.replaceAll("'", `'\\''`).replaceAll('%', '%%')}'`;
}
