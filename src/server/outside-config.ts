/** Configuration that lies outside the data directory, as Debian does it, and so in none of its files. */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ioError, systemCode, WalholdError } from '../base/errors.ts';
import { parseConf } from '../postgres/conf-file.ts';
import { requireSetting, type ServerFacts } from './server-facts.ts';

export interface OutsideConfig {
  /** As the server names them; `undefined`: inside the data directory. */
  configFile: string | undefined;
  hbaFile: string | undefined;
  identFile: string | undefined;
  /** Those three where they lie outside, and every file outside that any of the three includes. Absolute, each once. */
  files: readonly string[];
}

/** Includes within includes; PostgreSQL itself stops at 10. */
const DEEPEST = 10;
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_FILES = 10_000;

/** `undefined`: all of it lies inside. Throws `io` for a file that is there and cannot be read. */
export function outsideConfig(facts: ServerFacts, dataDirectory: string): OutsideConfig | undefined {
  const inside = [dataDirectory, requireSetting(facts, 'data_directory')].map(realpathOr);
  const isOutside = (path: string): boolean => !inside.some((top) => `${realpathOr(path)}/`.startsWith(`${top}/`));
  const found = new Set<string>();
  const visit = (path: string, includesOf: IncludeFinder, depth: number): void => {
    if (found.has(path) || found.size >= MOST_FILES) return;
    const text = readText(path);
    if (text === undefined) return;
    if (isOutside(path)) found.add(path);
    if (depth >= DEEPEST) return;
    for (const next of includesOf(text, dirname(path))) visit(next, includesOf, depth + 1);
  };
  const main = (setting: string, includesOf: IncludeFinder): string | undefined => {
    const path = requireSetting(facts, setting);
    if (path === '') return undefined;
    visit(path, includesOf, 0);
    return found.has(path) ? path : undefined;
  };
  const configFile = main('config_file', confIncludes);
  const hbaFile = main('hba_file', authIncludes);
  const identFile = main('ident_file', authIncludes);
  return found.size === 0 ? undefined : { configFile, hbaFile, identFile, files: [...found] };
}

/** The absolute paths of the files that a text includes. */
type IncludeFinder = (text: string, directory: string) => string[];

function confIncludes(text: string, directory: string): string[] {
  return parseConf(text).includes.flatMap(({ directive, path }) => {
    const full = resolve(directory, path);
    return directive === 'include_dir' ? filesIn(full) : [full];
  });
}

/** `include` lines (16 and later) and `@file` words of pg_hba.conf and pg_ident.conf. */
function authIncludes(text: string, directory: string): string[] {
  return text.split('\n').flatMap((line) => {
    const include = /^\s*(include|include_if_exists|include_dir)\s+(?:"([^"]+)"|(\S+))\s*$/.exec(line);
    if (include !== null) {
      const full = resolve(directory, include[2] ?? include[3] ?? '');
      return include[1] === 'include_dir' ? filesIn(full) : [full];
    }
    const words = line.replace(/#.*/, '').matchAll(/(?:^|[\s,])@(?:"([^"]+)"|([^\s,"]+))/g);
    return [...words].map((word) => resolve(directory, word[1] ?? word[2] ?? ''));
  });
}

/** As PostgreSQL reads an include_dir: visible names that end in `.conf`, in order. */
function filesIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith('.conf') && !name.startsWith('.'));
    return names.sort().map((name) => join(directory, name));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw ioError(`could not read the directory ${directory}`, error);
  }
}

/** `undefined`: there is no such file. */
function readText(path: string): string | undefined {
  try {
    const stats = statSync(path);
    if (!stats.isFile()) return undefined;
    if (stats.size <= MOST_BYTES) return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not read ${path}`, error);
  }
  throw new WalholdError('refused', `${path} is too large for a configuration file`, {
    hint: `Up to ${MOST_BYTES / 1024 / 1024} MB of configuration are stored with a backup.`,
  });
}

function realpathOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
