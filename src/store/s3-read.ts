import { GetObjectCommand, HeadObjectCommand, type GetObjectCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { rangeBounds } from './byte-range.ts';
import { bodyChunks } from './s3-body.ts';
import { answerOf, hidden } from './s3-errors.ts';
import { notS3, tagOf, type S3Place } from './s3-place.ts';
import type { ByteRange, ObjectInfo, OpenedObject } from './store.ts';

/** The reading half of an S3 store. */
export interface S3Reader {
  stat(key: string, signal: AbortSignal): Promise<ObjectInfo | undefined>;
  open(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedObject | undefined>;
}

export function s3Reader(client: S3Client, place: S3Place, requestTimeoutMs: number): S3Reader {
  const get = async (
    what: string,
    key: string,
    range: string | undefined,
    signal: AbortSignal,
  ): Promise<Got | undefined> => {
    const command = new GetObjectCommand({
      Bucket: place.bucket,
      Key: place.keyOf(key),
      ...(range === undefined ? {} : { Range: range }),
    });
    try {
      return await place.ask(what, signal, (once) => client.send(command, once));
    } catch (error) {
      return judgeMissing(what, error);
    }
  };

  const stat: S3Reader['stat'] = async (key, signal) => {
    const what = `look at ${place.url}/${key}`;
    try {
      const command = new HeadObjectCommand({ Bucket: place.bucket, Key: place.keyOf(key) });
      const head = await place.ask(what, signal, (once) => client.send(command, once));
      return infoOf(what, key, head.ContentLength, head);
    } catch (error) {
      if (!isMute(error)) throw error;
      // Is it the object that is missing, or the bucket, or does a proxy answer? Only a refusal with a body says.
      const got = await get(what, key, undefined, signal);
      if (got === undefined || got === 'beyond') return undefined;
      discard(got);
      return infoOf(what, key, got.ContentLength, got);
    }
  };

  return {
    stat,
    async open(key, range, signal) {
      const what = `read ${place.url}/${key}`;
      // Nothing is not a range that HTTP can ask for.
      const got = range?.bytes === 0 ? 'beyond' : await get(what, key, rangeHeader(range), signal);
      if (got === undefined) return undefined;
      if (got === 'beyond') {
        const info = await stat(key, signal);
        return info === undefined ? undefined : { info, chunks: nothing() };
      }
      try {
        const { size, bytes } = extent(what, got, range);
        const info = infoOf(what, key, size, got);
        const body = got.Body as unknown as AsyncIterable<Uint8Array>;
        return { info, chunks: bodyChunks(body, { what, bytes, timeoutMs: requestTimeoutMs, signal }) };
      } catch (error) {
        discard(got);
        throw error;
      }
    },
  };
}

/** A refusal of a HEAD, which has no body to give reasons in. */
function isMute(error: unknown): boolean {
  const status = answerOf(error)?.status;
  return status !== undefined && status >= 400 && status < 500;
}

/** `beyond`: the object is there, the range begins after its end. */
type Got = GetObjectCommandOutput | 'beyond';

function judgeMissing(what: string, error: unknown): 'beyond' | undefined {
  const answer = answerOf(error);
  if (answer?.status === 416) return 'beyond';
  if (answer?.status !== 404) throw error;
  if (answer.headers['x-amz-delete-marker'] === 'true') throw hidden(`could not ${what}`, error);
  if (answer.code === 'NoSuchKey') return undefined;
  throw error;
}

function rangeHeader(range: ByteRange | undefined): string | undefined {
  if (range === undefined || (range.offset === 0 && range.bytes === undefined)) return undefined;
  if (range.offset < 0) return `bytes=${range.offset}`;
  return `bytes=${range.offset}-${range.bytes === undefined ? '' : range.offset + range.bytes - 1}`;
}

/** The size of the whole object and how many bytes of it this body brings. A server that ignores ranges is refused. */
function extent(
  what: string,
  got: GetObjectCommandOutput,
  range: ByteRange | undefined,
): { size: number; bytes: number } {
  const length = got.ContentLength;
  if (length === undefined) throw notS3(what, 'length');
  if (rangeHeader(range) === undefined) return { size: length, bytes: length };
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(got.ContentRange ?? '') ?? [];
  // Of an object without bytes some servers send the whole, which is the same.
  if (first === undefined && length === 0) return { size: 0, bytes: 0 };
  const size = Number(total);
  const bytes = Number(last) - Number(first) + 1;
  const { from, to } = rangeBounds(size, range);
  if (Number(first) !== from || bytes !== to - from || length !== bytes) throw notS3(what, 'range that was asked for');
  return { size, bytes };
}

function infoOf(
  what: string,
  key: string,
  bytes: number | undefined,
  answer: { LastModified?: Date | undefined; ETag?: string | undefined },
): ObjectInfo {
  if (bytes === undefined || answer.LastModified === undefined) throw notS3(what, 'length or date');
  return { key, bytes, storedAt: answer.LastModified, tag: tagOf(answer.ETag, bytes, answer.LastModified) };
}

function discard(got: GetObjectCommandOutput): void {
  const body = got.Body as unknown as NodeJS.ReadableStream & { destroy(): void };
  // Its complaint about being cut off has nobody left to hear it.
  body.on('error', () => undefined);
  body.destroy();
}

// eslint-disable-next-line typescript/require-await -- no chunks in the shape of many
async function* nothing(): AsyncGenerator<Uint8Array> {}
