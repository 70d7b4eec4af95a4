import { systemCode } from '../base/errors.ts';

/** What to do about an error that no part of the program knows. */
export function unforeseenHint(error: unknown): string {
  const code = systemCode(error);
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND' || code === 'ERR_DLOPEN_FAILED'
    ? 'A part of the program is missing or does not fit: install walhold again.'
    : 'This is a mistake in walhold: please report it.';
}
