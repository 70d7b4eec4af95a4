import { createHash } from 'node:crypto';
import { WalholdError } from '../base/errors.ts';

/**
 * A JSON document whose last line is the SHA-256 of all bytes before that line, as in PostgreSQL's manifest. `lines`: from `{` to
 * the line whose comma goes before the digest.
 */
export function sealJson(lines: readonly string[]): Buffer {
  const text = Buffer.from([...lines, ''].join('\n'), 'utf8');
  const digest = createHash('sha256').update(text).digest('hex');
  return Buffer.concat([text, Buffer.from(`"sha256": "${digest}"}\n`, 'utf8')]);
}

/** Reads such a document of format 1; `object` is for messages. Throws `bad-format`, or `damaged` where its digest does not fit. */
export function openSealedJson(bytes: Uint8Array, object: string): unknown {
  return parseFormat1(provenBody(bytes, object).whole.toString('utf8'), object);
}

/** The bytes of such a document before its last line, proven by that. */
export function provenBody(bytes: Uint8Array, object: string): { whole: Buffer; body: Buffer } {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lastLine = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
  const digest = /^"sha256": "([0-9a-f]{64})"\}\n$/.exec(whole.toString('latin1', lastLine, lastLine + 100))?.[1];
  if (digest === undefined) throw untrusted(object, 'its last line is not its digest');
  if (createHash('sha256').update(whole.subarray(0, lastLine)).digest('hex') !== digest) {
    throw untrusted(object, 'its digest does not fit its contents', 'damaged');
  }
  return { whole, body: whole.subarray(0, lastLine) };
}

/** JSON of format 1. Throws `bad-format`. */
export function parseFormat1(text: string, object: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw untrusted(object, 'it is not JSON', 'bad-format', error);
  }
  const format = (value as Record<string, unknown> | null)?.['format'];
  if (format === 1) return value;
  throw new WalholdError('bad-format', `could not read ${object}`, {
    detail: `its format is ${String(format).slice(0, 20)}, this version reads 1`,
    hint: 'Read it with a newer version of walhold.',
  });
}

/** What is not to be trusted, and why. */
export function untrusted(
  object: string,
  detail: string,
  code: 'bad-format' | 'damaged' = 'bad-format',
  cause?: unknown,
): WalholdError {
  const hint = 'Read it from another repository, or see "walhold verify".';
  return new WalholdError(code, `could not trust ${object}`, { detail, hint, cause });
}
