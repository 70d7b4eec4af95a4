import { createHash } from 'node:crypto';
import { refuse, tag, type S3Request } from './fake-s3-messages.ts';

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=[0-9a-f]{64}$/;

/** Headers whose meaning would change unnoticed if they were not signed. */
const MUST_BE_SIGNED = /^(host|x-amz-.*|if-none-match|if-match|content-md5)$/;

/**
 * That a request is signed, by a known key for the right region, and that the body is the one signed for.
 *
 * @returns the key.
 */
export function checkSignature(request: S3Request, server: { knows(key: string): boolean; region: string }): string {
  const { headers } = request;
  const [, key, region, signed] = AUTHORIZATION.exec(headers['authorization'] ?? '') ?? [];
  if (key === undefined || signed === undefined) throw refuse(403, 'AccessDenied');
  if (!server.knows(key)) throw refuse(403, 'InvalidAccessKeyId');
  if (region !== server.region) {
    const elsewhere = { 'x-amz-bucket-region': server.region };
    throw refuse(400, 'AuthorizationHeaderMalformed', { headers: elsewhere, xml: tag('Region', server.region) });
  }
  const names = signed.split(';');
  if (Object.keys(headers).some((name) => MUST_BE_SIGNED.test(name) && !names.includes(name))) {
    throw refuse(403, 'SignatureDoesNotMatch');
  }
  const digest = headers['x-amz-content-sha256'];
  if (digest === undefined) throw refuse(400, 'MissingSecurityHeader');
  if (digest !== 'UNSIGNED-PAYLOAD' && digest !== createHash('sha256').update(request.body).digest('hex')) {
    throw refuse(400, 'XAmzContentSHA256Mismatch');
  }
  return key;
}
