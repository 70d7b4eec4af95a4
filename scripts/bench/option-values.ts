import { fileURLToPath } from 'node:url';

/** What every run is told, whatever it measures. */
export interface RunOptions {
  rounds: number;
  /** Names of contenders; none: all of them. */
  only: readonly string[];
  output: string;
  /** The folder of the JSON files. */
  json: string;
  note: string;
}

interface TextOption {
  type: 'string';
  default: string;
}

/** An option of parseArgs with a value, and what that is without it. */
export function text(value: string): TextOption {
  return { type: 'string', default: value };
}

/** Those of {@link RunOptions}, for parseArgs. */
export const RUN_OPTIONS: Readonly<Record<keyof RunOptions, TextOption>> = {
  rounds: text('5'),
  only: text(''),
  output: text(fileURLToPath(new URL('RESULTS.md', import.meta.url))),
  json: text(fileURLToPath(new URL('results', import.meta.url))),
  note: text(''),
};

/** @throws for values that are none. */
export function runOptions({ rounds, only, output, json, note }: Record<keyof RunOptions, string>): RunOptions {
  return { rounds: wholeNumber('rounds', rounds), only: commaList(only), output, json, note };
}

/** @throws for what is not a whole number from 1 to 9999. */
export function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`--${name} is a whole number from 1 to 9999, not "${text}"`);
  return Number(text);
}

/** The words between commas. */
export function commaList(text: string): string[] {
  return text.split(',').filter((word) => word !== '');
}

/**
 * The sections named, in the order of `all`; without a name all of them.
 *
 * @throws for a word that names none.
 */
export function sectionsNamed<T extends string>(words: readonly string[], all: readonly T[]): readonly T[] {
  const unknown = words.find((word) => !all.some((name) => name === word));
  if (unknown !== undefined) throw new Error(`there is no benchmark "${unknown}", but ${all.join(', ')}`);
  return words.length === 0 ? all : all.filter((name) => words.includes(name));
}
