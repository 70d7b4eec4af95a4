import { WalholdError } from '../base/errors.ts';

/** A JSON object whose fields are read once each, with their checks. Throws `bad-format` that names the field. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #object: string;

  /** `object`: the key, for messages. `where`: the path of this value in the document, empty at its top. */
  constructor(value: unknown, object: string, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(object, where || 'document');
    this.#values = value as Record<string, unknown>;
    this.#object = object;
    this.#where = where === '' ? '' : `${where}.`;
  }

  /** What the field holds, if it fits. */
  read<T>(name: string, fit: (value: unknown) => T | undefined): T {
    const found = fit(Object.hasOwn(this.#values, name) ? this.#values[name] : undefined);
    if (found === undefined) throw this.wrong(name);
    return found;
  }

  text(name: string, maxLength: number): string {
    return this.read(name, (value) => (isText(value, maxLength) ? value : undefined));
  }

  /** A text of this form. */
  matching(name: string, pattern: RegExp): string {
    return this.read(name, (value) => (isText(value, 200) && pattern.test(value) ? value : undefined));
  }

  /** A whole number from `min` to `max`. */
  number(name: string, min = 0, max: number = Number.MAX_SAFE_INTEGER): number {
    return this.read(name, (value) => (isWhole(value, min, max) ? value : undefined));
  }

  flag(name: string): boolean {
    return this.read(name, (value) => (typeof value === 'boolean' ? value : undefined));
  }

  inner(name: string): Fields {
    return new Fields(this.#values[name], this.#object, `${this.#where}${name}`);
  }

  /** The items of an array of at most `max`, each read by `item`. */
  list<T>(name: string, max: number, item: (value: unknown, where: string) => T): T[] {
    const values = this.read(name, (value) =>
      Array.isArray(value) && value.length <= max ? (value as unknown[]) : undefined,
    );
    return values.map((value, index) => item(value, `${this.#where}${name}[${index}]`));
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#values, name);
  }

  isNull(name: string): boolean {
    return this.#values[name] === null;
  }

  wrong(name: string): WalholdError {
    return wrong(this.#object, `${this.#where}${name}`);
  }
}

export function isWhole(value: unknown, min = 0, max: number = Number.MAX_SAFE_INTEGER): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max;
}

export function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength && !value.includes('\0') && value.isWellFormed();
}

function wrong(object: string, field: string): WalholdError {
  return new WalholdError('bad-format', `could not trust ${object}`, {
    detail: `its field ${field} is missing or wrong`,
    hint: 'Read it from another repository, or see "walhold verify".',
  });
}
