import { WalholdError } from '../base/errors.ts';

const PART = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/;
/** S3 allows 1024 bytes with the repository's prefix. */
const LONGEST_KEY = 700;

/** Whether `name` can stand between two slashes of a key: nothing hidden, nothing a shell, a URL or a filesystem reads twice. */
export function isKeyPart(name: string): boolean {
  return PART.test(name);
}

/** Whether `key` has the form that `Store` promises. What a hostile bucket holds beside our objects does not. */
export function isObjectKey(key: string): boolean {
  return key.length <= LONGEST_KEY && key.split('/').every(isKeyPart);
}

/** Refuses anything but a key with `bad-format`, before it reaches a path or a URL. */
export function requireObjectKey(key: string): void {
  if (!isObjectKey(key))
    throw new WalholdError('bad-format', `not an object key: ${JSON.stringify(key.slice(0, 200))}`);
}

/** The same for a listing's prefix: the beginning of a key, cut anywhere; empty for everything. */
export function requireKeyPrefix(prefix: string): void {
  const cut = prefix.lastIndexOf('/') + 1;
  const directory = prefix.slice(0, cut).slice(0, -1);
  const rest = prefix.slice(cut);
  if ((cut > 0 && !isObjectKey(directory)) || (rest !== '' && !isKeyPart(rest))) {
    throw new WalholdError('bad-format', `not the beginning of an object key: ${JSON.stringify(prefix.slice(0, 200))}`);
  }
}
