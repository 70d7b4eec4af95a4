/**
 * What an answer of S3, or none, means to us. Codes are Amazon's (API reference, "Error responses"); what other servers say beside
 * them falls back on the HTTP status. Anything not known to pass is an answer that repeating cannot mend.
 */
import { hasCode, reasonOf, systemCode, WalholdError, type ErrorCode } from '../base/errors.ts';
import { noAnswer, type NetworkHints } from './no-answer.ts';

/** The parts of a refusal that decisions are made from. Empty code: the body did not say (HEAD has none). */
export interface S3Answer {
  status: number;
  code: string;
  /** Of the response; lower-case names. */
  headers: Readonly<Record<string, string>>;
  /** Where the bucket is, if the refusal is about that. */
  region?: string;
}

/** What the store answered, from an SDK error or one of ours around it; `undefined` when it gave no answer. */
export function answerOf(error: unknown): S3Answer | undefined {
  const inner = error instanceof WalholdError ? error.cause : error;
  if (!(inner instanceof Error)) return undefined;
  const { $metadata, $response } = inner as Partial<SdkError>;
  // A connection that breaks while the SDK reads a refusal leaves its status, and no reason: nothing can be concluded from it.
  if ($metadata?.httpStatusCode === undefined || systemCode(inner) !== undefined) return undefined;
  const named = inner.name === 'Error' || PLACEHOLDERS.has(inner.name) || /^\d+$/.test(inner.name) ? '' : inner.name;
  const { Code, Region } = inner as Partial<SdkError>;
  const headers = $response?.headers ?? {};
  const region = headers['x-amz-bucket-region'] ?? Region;
  const answer = { status: $metadata.httpStatusCode, code: Code ?? named, headers };
  return region === undefined ? answer : { ...answer, region };
}

interface SdkError extends Error {
  $metadata: { httpStatusCode?: number };
  $response?: { headers: Record<string, string> };
  Code?: string;
  Region?: string;
}
/** What the SDK calls an error whose body named none. */
const PLACEHOLDERS: ReadonlySet<string> = new Set(['Unknown', 'UnknownError', 'S3ServiceException', 'SyntaxError']);

/** Names a failure of a request. */
export function s3Error(what: string, error: unknown): WalholdError {
  if (error instanceof WalholdError) return error;
  const answer = answerOf(error);
  if (answer === undefined) return noAnswer(what, error, NETWORK_HINTS);
  const { code, hint } = judge(answer);
  const said = [String(answer.status), answer.code, reasonOf(error)].filter((word) => word !== '').join(' ');
  return new WalholdError(code, what, { detail: said, cause: error, ...(hint === undefined ? {} : { hint }) });
}

const NETWORK_HINTS: NetworkHints = {
  certificate: 'Its certificate is not trusted: set s3_ca_file, or renew it.',
  ENOTFOUND: 'The name is not known: check s3_endpoint, the bucket and the DNS.',
  ECONNREFUSED: 'Nothing listens there: check s3_endpoint.',
  EPROTO: 'It does not speak TLS: check the scheme of s3_endpoint.',
};

interface Judgement {
  code: ErrorCode;
  hint?: string;
}

function judge(answer: S3Answer): Judgement {
  const { status, code } = answer;
  const region = wrongRegion(answer);
  if (region !== undefined) return region;
  const known = BY_CODE.get(code);
  if (known !== undefined) return known;
  if (code.startsWith('KMS.')) return /Throttling|Unavailable|Internal/.test(code) ? LATER : KMS;
  if (/Throttl|TooManyRequests|SlowDown|RequestLimit/.test(code)) return LATER;
  if (status === 501)
    return { code: 'store-rejected', hint: 'The store lacks what was asked of it; walhold check says what.' };
  if (status >= 500 || status === 429 || status === 408 || status === 307 || status === 200) return LATER;
  if (status === 401 || status === 403) return DENIED;
  return { code: 'store-rejected' };
}

/** A signature for another region, or a bucket that lives in one. */
function wrongRegion({ status, code, region }: S3Answer): Judgement | undefined {
  const redirected = status === 301 || code === 'PermanentRedirect' || code === 'IllegalLocationConstraintException';
  const misplaced = code === 'AuthorizationHeaderMalformed' || (status === 400 && code === '' && region !== undefined);
  if (!redirected && !misplaced) return undefined;
  const hint = region === undefined ? 'Correct s3_region or s3_endpoint.' : `Set s3_region = ${region}.`;
  return { code: 'config', hint };
}

const LATER: Judgement = { code: 'unreachable' };
const DENIED: Judgement = {
  code: 'denied',
  hint: 'Check the credentials and what they allow; without s3:ListBucket a missing object is answered so too.',
};
const KEYS: Judgement = { code: 'denied', hint: 'Check the access key and the secret key.' };
const EXPIRED: Judgement = { code: 'denied', hint: 'The temporary credentials have run out; renew them.' };
const KMS: Judgement = {
  code: 'denied',
  hint: 'Check s3_kms_key, its state, and kms:GenerateDataKey and kms:Decrypt on it.',
};
const CORRUPTED: Judgement = {
  code: 'unreachable',
  hint: 'The bytes that arrived were not those sent: check the network.',
};

const BY_CODE: ReadonlyMap<string, Judgement> = new Map<string, Judgement>([
  ['NoSuchBucket', { code: 'store-rejected', hint: 'Make the bucket, or correct the repository setting.' }],
  ['InvalidBucketName', { code: 'config', hint: 'Correct the repository setting.' }],
  ['AccessDenied', DENIED],
  ['InvalidAccessKeyId', KEYS],
  ['SignatureDoesNotMatch', KEYS],
  ['InvalidToken', KEYS],
  ['ExpiredToken', EXPIRED],
  ['ExpiredTokenException', EXPIRED],
  ['TokenRefreshRequired', EXPIRED],
  // The SDK reads the server's clock from this refusal and signs the next request by it.
  [
    'RequestTimeTooSkewed',
    { code: 'unreachable', hint: 'The clocks of this host and the store differ: set this one right.' },
  ],
  [
    'InvalidObjectState',
    { code: 'store-rejected', hint: 'The object lies in an archive class: restore it there first.' },
  ],
  ['ConditionalRequestConflict', LATER],
  ['OperationAborted', LATER],
  ['RequestTimeout', LATER],
  ['IncompleteBody', LATER],
  ['InternalError', LATER],
  ['ServiceUnavailable', LATER],
  ['BadDigest', CORRUPTED],
  ['InvalidDigest', CORRUPTED],
  ['XAmzContentSHA256Mismatch', CORRUPTED],
  ['XAmzContentChecksumMismatch', CORRUPTED],
]);

/** The refusal of a taken name. */
export function isTaken(error: unknown): boolean {
  const answer = answerOf(error);
  return answer?.status === 412 || answer?.code === 'PreconditionFailed';
}

/** What the caller should be told when a version exists but a delete marker covers it. */
export function hidden(what: string, cause: unknown): WalholdError {
  return new WalholdError('damaged', what, {
    detail: 'it is hidden by a delete marker, which nothing here ever places',
    hint: 'Find out who deleted it; the object is still there as an older version.',
    cause,
  });
}

/** The same refusal, with the right that is asked for by name: for calls that need one of their own. Other failures as they are. */
export function lacking(error: unknown, right: string): unknown {
  if (!hasCode(error, 'denied') || answerOf(error)?.code !== 'AccessDenied') return error;
  const { code, message, detail, cause } = error;
  const hint = `Allow these credentials ${right}.`;
  return new WalholdError(code, message, { hint, cause, ...(detail === undefined ? {} : { detail }) });
}
