/** Requests and answers have the shape of those of the fake S3, so that the same faults can befall them. */
export type { S3Reply as GcsReply, S3Request as GcsRequest } from './fake-s3-messages.ts';
import { Refusal, type S3Reply } from './fake-s3-messages.ts';

/** A refusal in the JSON of the API. */
export function refuse(status: number, reason: string, message: string): Refusal {
  return new Refusal(refusal(status, reason, message), reason);
}

export function refusal(status: number, reason: string, message = `the fake says ${reason}`): S3Reply {
  const errors = [{ domain: 'global', reason, message }];
  return json({ error: { code: status, message, errors } }, status);
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): S3Reply {
  const body = Buffer.from(JSON.stringify(value));
  return { status, headers: { 'content-type': 'application/json; charset=UTF-8', ...headers }, body };
}

/** A refusal of a download is a line of text. */
export function plainly({ status, body }: S3Reply): S3Reply {
  const { error } = JSON.parse((body ?? Buffer.alloc(0)).toString()) as { error: { message: string } };
  return { status, headers: { 'content-type': 'text/html; charset=UTF-8' }, body: Buffer.from(error.message) };
}
