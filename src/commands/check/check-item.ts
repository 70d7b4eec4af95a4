import { WalholdError } from '../../base/errors.ts';

/** One thing that must be true, in the shape of `walhold check --json`. */
export interface CheckItem {
  name: string;
  ok: boolean;
  found: string;
  expected: string;
  hint: string | null;
}

export function item(name: string, ok: boolean, found: string, expected: string, hint?: string): CheckItem {
  return { name, ok, found, expected, hint: hint ?? null };
}

/** What could not be looked at is never a success. */
export function notChecked(name: string, why: string, expected: string, hint?: string): CheckItem {
  return item(name, false, `not checked: ${why}`, expected, hint);
}

/** A look that failed. Throws what is no finding: a program's mistake, an interruption. */
export function failedLook(name: string, expected: string, error: unknown): CheckItem {
  if (!(error instanceof WalholdError) || error.code === 'interrupted') throw error;
  const found = error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
  return item(name, false, found, expected, error.hint);
}

/** `repo`, `repo2`, …: as the settings name it. */
export function settingName(number: number): string {
  return number === 1 ? 'repo' : `repo${number}`;
}
