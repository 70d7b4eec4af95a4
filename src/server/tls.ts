import { readFileSync } from 'node:fs';
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { ServerAddress } from './server-address.ts';

/** Options for `pg`; `undefined`: without TLS. */
export type TlsTry =
  | { rejectUnauthorized: boolean; ca?: string; cert?: string; key?: string; checkServerIdentity?: () => undefined }
  | undefined;

/** What libpq would try in turn. There is no TLS over a socket. */
export function tlsTries({ tls }: ServerAddress, host: string): readonly TlsTry[] {
  if (host.startsWith('/')) return [undefined];
  const verified = tls.mode === 'verify-ca' || tls.mode === 'verify-full';
  // As libpq: with a root certificate there, `require` verifies it too.
  const withRoot = verified || (tls.mode === 'require' && tls.rootCertificate !== undefined);
  const encrypted: TlsTry = {
    rejectUnauthorized: withRoot,
    ...(withRoot && tls.rootCertificate !== undefined ? { ca: readPem(tls.rootCertificate) } : {}),
    ...(tls.certificate !== undefined && tls.key !== undefined
      ? { cert: readPem(tls.certificate), key: readPem(tls.key) }
      : {}),
    ...(tls.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
  switch (tls.mode) {
    case 'disable':
      return [undefined];
    case 'allow':
      return [undefined, encrypted];
    case 'prefer':
      return [encrypted, undefined];
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return [encrypted];
  }
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new WalholdError('usage', `could not read ${path}`, { detail: reasonOf(error), cause: error });
  }
}
