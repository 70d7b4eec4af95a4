import { WalholdError } from '../base/errors.ts';

/** Where a repository URL points, before its other settings. */
export type RepositoryPlace =
  { scheme: 'file'; path: string } | { scheme: 's3' | 'gs'; bucket: string; prefix: string };

/**
 * Reads `file:///path`, `s3://bucket/prefix` or `gs://bucket/prefix`. `setting` names where it stands, for messages.
 * Throws `config`.
 */
export function parseRepositoryUrl(text: string, setting: string): RepositoryPlace {
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text) ?? [];
  const bad = (detail: string): WalholdError =>
    new WalholdError('config', `the repository URL in ${setting} cannot be used`, {
      detail,
      hint: 'Write file:///absolute/path, s3://bucket/prefix or gs://bucket/prefix.',
    });
  if (scheme === undefined || rest === undefined) throw bad('it does not begin with file://, s3:// or gs://');
  // eslint-disable-next-line no-control-regex -- they would end up in messages and in object keys
  if (/[?#\u0000-\u001f\u007f]/.test(rest)) throw bad('it holds a control character, "?" or "#"');
  switch (scheme.toLowerCase()) {
    case 'file':
      return { scheme: 'file', path: filePath(rest, bad) };
    case 's3':
      return { scheme: 's3', ...bucketAndPrefix(rest, bad) };
    case 'gs':
      return { scheme: 'gs', ...bucketAndPrefix(rest, bad) };
    default:
      throw bad(`walhold knows no "${scheme}" repositories`);
  }
}

function filePath(rest: string, bad: (detail: string) => WalholdError): string {
  if (!rest.startsWith('/')) throw bad('the path of a file:// URL must be absolute: three slashes');
  let path: string;
  try {
    path = decodeURIComponent(rest);
  } catch {
    throw bad('it holds a "%" that is no escape');
  }
  if (path.includes('\0')) throw bad('it holds a zero byte');
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.includes('..') || parts.includes('.')) throw bad('it holds "." or ".." as a part');
  if (parts.length === 0) throw bad('it names the root directory');
  return `/${parts.join('/')}`;
}

function bucketAndPrefix(rest: string, bad: (detail: string) => WalholdError): { bucket: string; prefix: string } {
  const [bucket = '', ...parts] = rest.split('/');
  if (bucket.includes('@'))
    throw bad("it holds credentials; those come from the environment or the provider's own files only");
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) throw bad('it names no bucket');
  const kept = parts.filter((part) => part !== '');
  if (!kept.every((part) => /^[A-Za-z0-9!_.*'()=+@$:,-]+$/.test(part) && part !== '.' && part !== '..')) {
    throw bad('its prefix holds a part that is ".", ".." or has unusual characters');
  }
  return { bucket, prefix: kept.join('/') };
}
