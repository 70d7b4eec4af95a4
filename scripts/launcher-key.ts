// Writes the key of a call into the launchers, from the table of settings:
//   scripts/with-node scripts/launcher-key.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '../src/base/version.ts';
import { settingVariables } from '../src/config/setting-name.ts';
import { keyVariables, type Call } from '../src/spool/call-key.ts';
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
  const names = keyVariables(settingVariables());
  const lines = [`  key="${program} ${VERSION}\t$pid\t$home\t$start\t$#$words"\n`];
  for (let at = 0; at < names.length; at += PER_LINE) {
    const fields = names.slice(at, at + PER_LINE).map((name) => `\t\${${name}-}`);
    lines.push(`  key="$key${fields.join('')}"\n`);
  }
  return lines.join('');
}

if (import.meta.main) {
  for (const program of LAUNCHERS) {
    const path = join(ROOT, 'bin', program);
    writeFileSync(path, withKey(program, readFileSync(path, 'utf8')));
  }
}
