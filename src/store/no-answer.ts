import { reasonOf, systemCode, WalholdError } from '../base/errors.ts';

/** What to do about a connection that failed, in the words of a store's settings. */
export interface NetworkHints {
  certificate: string;
  ENOTFOUND: string;
  ECONNREFUSED: string;
  EPROTO: string;
}

const CERTIFICATE = /CERT|SIGNATURE|ERR_TLS|ISSUER/;

/** Names a request that no answer came to: `unreachable`. An error of our own making is thrown as it is. */
export function noAnswer(what: string, error: unknown, hints: NetworkHints): WalholdError {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) throw error;
  const inner = error instanceof AggregateError ? (error.errors as unknown[])[0] : error;
  const code = systemCode(error) ?? systemCode(inner) ?? '';
  const hint = hintFor(code, hints);
  const detail = reasonOf(inner) === '' ? code : reasonOf(inner);
  return new WalholdError('unreachable', what, { detail, cause: error, ...(hint === undefined ? {} : { hint }) });
}

function hintFor(code: string, hints: NetworkHints): string | undefined {
  if (CERTIFICATE.test(code)) return hints.certificate;
  return code === 'ENOTFOUND' || code === 'ECONNREFUSED' || code === 'EPROTO' ? hints[code] : undefined;
}
