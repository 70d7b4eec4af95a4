import { lstat } from 'node:fs/promises';
import { ioError, reasonOf, systemCode, WalholdError } from '../base/errors.ts';

/** What a network mount says when its server does not answer: worth repeating. `EIO` is what a soft NFS mount gives. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'EIO',
  'ESTALE',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTCONN',
  'ENOLINK',
  'ENXIO',
  'ENODEV',
  'EREMOTEIO',
]);
const DENIED: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS']);

/** Names a failure of the repository's filesystem. `ENOENT` must have been judged before: see `requireRoot`. */
export function fileStoreError(what: string, error: unknown): WalholdError {
  if (error instanceof WalholdError) return error;
  const code = systemCode(error) ?? '';
  const about = { detail: reasonOf(error), cause: error };
  if (UNREACHABLE.has(code)) return new WalholdError('unreachable', what, about);
  if (DENIED.has(code)) {
    const hint =
      code === 'EROFS'
        ? 'The filesystem is mounted read-only; remount it.'
        : 'Let the user that runs this command read and write there.';
    return new WalholdError('denied', what, { ...about, hint });
  }
  if (code === 'EXDEV') {
    const hint = 'A repository must lie on one filesystem, so that finished files can be linked into place.';
    return new WalholdError('store-rejected', what, { ...about, hint });
  }
  if (code === 'ELOOP') {
    const hint = 'Nothing here makes symbolic links; remove it, or put the file itself there.';
    return new WalholdError('damaged', what, { ...about, hint });
  }
  return ioError(what, error);
}

/** Whether the error says that the path does not exist, which proves absence only together with `requireRoot`. */
export function saysAbsent(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Throws `store-gone` unless the repository's directory is there: an unmounted share must not look like an empty one. */
export async function requireRoot(root: string): Promise<void> {
  try {
    const found = await lstat(`${root}/.`);
    if (found.isDirectory()) return;
  } catch (error) {
    if (!saysAbsent(error)) throw fileStoreError(`could not look at the repository's directory ${root}`, error);
  }
  const isFile = await lstat(root).then(
    () => true,
    () => false,
  );
  throw new WalholdError('store-gone', `the repository's directory ${root} is ${isFile ? 'no directory' : 'missing'}`, {
    hint: 'Mount the filesystem it lies on, or correct the repository setting; nothing that only reads creates it.',
  });
}
