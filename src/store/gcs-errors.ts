/**
 * What an answer of Google Cloud Storage, or none, means to us. Reasons are those of the JSON API ("HTTP status and error codes for
 * JSON"); what other servers say beside them falls back on the HTTP status. Anything not known to pass is an answer that repeating
 * cannot mend.
 */
import { WalholdError, type ErrorCode } from '../base/errors.ts';
import { noAnswer, type NetworkHints } from './no-answer.ts';

/** The store answered, and refused. */
export class GcsRefusal extends Error {
  override readonly name: string = 'GcsRefusal';
  readonly status: number;
  /** Empty: the answer did not say. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** Reads a refusal's body: the JSON of the API, or a line of text, as downloads are refused with. */
export function gcsRefusal(status: number, body: string): GcsRefusal {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown; errors?: { reason?: unknown }[] } };
    const reason = error?.errors?.[0]?.reason;
    const message = error?.message;
    return new GcsRefusal(
      status,
      typeof reason === 'string' ? reason : '',
      typeof message === 'string' ? message.slice(0, LONGEST_MESSAGE) : '',
    );
  } catch {
    return new GcsRefusal(status, '', body.trim().slice(0, LONGEST_MESSAGE));
  }
}

const LONGEST_MESSAGE = 500;

/** What the store answered, from an error or one of ours around it; `undefined` when it gave no answer. */
export function refusalOf(error: unknown): GcsRefusal | undefined {
  const inner = error instanceof WalholdError ? error.cause : error;
  return inner instanceof GcsRefusal ? inner : undefined;
}

/** Names a failure of a request. */
export function gcsError(what: string, error: unknown): WalholdError {
  if (error instanceof WalholdError) return error;
  if (!(error instanceof GcsRefusal)) return noAnswer(what, error, NETWORK_HINTS);
  const { code, hint } = judge(error);
  const detail = [String(error.status), error.reason, error.message].filter((word) => word !== '').join(' ');
  return new WalholdError(code, what, { detail, cause: error, ...(hint === undefined ? {} : { hint }) });
}

const NETWORK_HINTS: NetworkHints = {
  certificate: 'Its certificate is not trusted: renew it, or name its authority in NODE_EXTRA_CA_CERTS.',
  ENOTFOUND: 'The name is not known: check gcs_endpoint and the DNS.',
  ECONNREFUSED: 'Nothing listens there: check gcs_endpoint.',
  EPROTO: 'It does not speak TLS: check the scheme of gcs_endpoint.',
};

interface Judgement {
  code: ErrorCode;
  hint?: string;
}

function judge(refusal: GcsRefusal): Judgement {
  const { status, reason } = refusal;
  if (isCorrupted(refusal)) return CORRUPTED;
  const known = BY_REASON.get(reason);
  if (known !== undefined) return known;
  if (isBucketMissing(refusal)) return NO_BUCKET;
  if (status === 501)
    return { code: 'store-rejected', hint: 'The store lacks what was asked of it; check gcs_endpoint.' };
  if (status >= 500 || status === 429 || status === 408 || status === 409) return LATER;
  if (status === 401) return KEYS;
  if (status === 403) return denied(refusal);
  if (status >= 300 && status < 400)
    return { code: 'store-rejected', hint: 'Check gcs_endpoint: what answers there redirects.' };
  return { code: 'store-rejected' };
}

/** Google names the permission that is missing. */
function denied({ message }: GcsRefusal): Judgement {
  const permission = /storage\.[a-zA-Z]+\.[a-zA-Z]+/.exec(message)?.[0];
  if (permission === undefined) return { code: 'denied', hint: 'Check the credentials and what they allow.' };
  return { code: 'denied', hint: `Check the credentials; they lack ${permission} on the bucket.` };
}

const LATER: Judgement = { code: 'unreachable' };
const KEYS: Judgement = { code: 'denied', hint: 'Check the credentials: they are not known there, or have run out.' };
const NO_BUCKET: Judgement = { code: 'store-rejected', hint: 'Make the bucket, or correct the repository setting.' };
const PROTECTED: Judgement = {
  code: 'denied',
  hint: 'The object is locked against that; walhold lock status says until when.',
};
const CORRUPTED: Judgement = {
  code: 'unreachable',
  hint: 'The bytes that arrived were not those sent: check the network.',
};

const BY_REASON: ReadonlyMap<string, Judgement> = new Map<string, Judgement>([
  ['retentionPolicyNotMet', PROTECTED],
  ['objectUnderActiveHold', PROTECTED],
  ['rateLimitExceeded', LATER],
  ['userRateLimitExceeded', LATER],
  ['backendError', LATER],
  ['internalError', LATER],
  ['accountDisabled', { code: 'denied', hint: 'The account of the project is closed or not paid for.' }],
  ['billingNotEnabled', { code: 'denied', hint: 'Switch billing on for the project.' }],
]);

/** The refusal of a taken name: by the condition, or because what lies there is locked. */
export function isTaken(error: unknown): boolean {
  const refusal = refusalOf(error);
  return refusal?.status === 412 || PROTECTED === BY_REASON.get(refusal?.reason ?? '');
}

/** A sum that does not fit is a plain 400, told by its text alone. */
export function isCorrupted(error: unknown): boolean {
  const refusal = refusalOf(error);
  return refusal?.status === 400 && /match(es)? (the )?calculated/i.test(refusal.message);
}

/** A 404 whose text is about the bucket. */
export function isBucketMissing(error: unknown): boolean {
  const refusal = refusalOf(error);
  return refusal?.status === 404 && /bucket does not exist/i.test(refusal.message);
}

/** Answers lack what the store must send: something between us and it speaks HTTP, but is not it. */
export function notGcs(what: string, missing: string): WalholdError {
  return new WalholdError('store-rejected', `could not ${what}`, {
    detail: `the answer has no ${missing}`,
    hint: 'Check gcs_endpoint: what answers there does not behave as Google Cloud Storage does.',
  });
}

/** What the caller should be told when older versions of a name exist, but no live one. */
export function hidden(what: string, cause: unknown): WalholdError {
  return new WalholdError('damaged', `could not ${what}`, {
    detail: 'it was deleted or replaced, which nothing here ever does, and is there as a noncurrent version only',
    hint: 'Find out who deleted it; the object is still there as an older version.',
    cause,
  });
}
