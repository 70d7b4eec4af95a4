// Writes the key of a call into the launchers, from the table of settings:
//   scripts/with-node scripts/launcher-key.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '../src/base/version.ts';
import { settingVariables } from '../src/config/setting-name.ts';
import { KEPT_VARIABLES, type Call } from '../src/spool/call-key.ts';
import { ROOT } from './build.ts';

const BEGIN = '  # Written by scripts/launcher-key.ts: tabs between the fields of src/spool/call-key.ts.\n';
const END = '  # Up to here.\n';
const PER_LINE = 8;

export const LAUNCHERS: readonly Call['program'][] = ['walhold-push', 'walhold-fetch'];

/** The launcher with the key that fits the sources. */
export function withKey(program: Call['program'], launcher: string): string {
  const from = launcher.indexOf(BEGIN);
  const to = launcher.indexOf(END);
  if (from < 0 || to < from) throw new Error(`bin/${program} has no place for the key`);
  return launcher.slice(0, from) + BEGIN + keyLines(program) + launcher.slice(to);
}

function keyLines(program: Call['program']): string {
  const settings = settingVariables();
  const kept = `\t$pid\t$home\t$start\t$#$words${values(KEPT_VARIABLES)}`;
  return [
    `  key="${kept}"\n`,
    `  set="${values(settings)}"\n`,
    '  case $set in\n',
    `  "${'\t'.repeat(settings.length)}") key="${program} ${VERSION} -$key" ;;\n`,
    `  *) key="${program} ${VERSION} +$key$set" ;;\n`,
    '  esac\n',
  ].join('');
}

/** Within quotes, on lines that the shell joins. */
function values(names: readonly string[]): string {
  return names.map((name, at) => `${at % PER_LINE === 0 ? '\\\n' : ''}\t\${${name}-}`).join('');
}

if (import.meta.main) {
  for (const program of LAUNCHERS) {
    const path = join(ROOT, 'bin', program);
    writeFileSync(path, withKey(program, readFileSync(path, 'utf8')));
  }
}
