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
