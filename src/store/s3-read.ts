import {
  GetObjectCommand,
  HeadObjectCommand,
  type GetObjectCommandOutput,
  type HeadObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { bodyChunks, noChunks } from './body-chunks.ts';
import { bodyExtent, rangeHeader } from './byte-range.ts';
import type { S3Clock } from './s3-clock.ts';
import { answerOf, hidden, s3Error } from './s3-errors.ts';
import { notS3, tagOf, type S3Place } from './s3-place.ts';
import { protectionOf } from './s3-retention.ts';
import type { ByteRange, ObjectInfo, OpenedObject, ReadOptions } from './store.ts';

/** The reading half of an S3 store. */
export interface S3Reader {
  stat(key: string, options: ReadOptions): Promise<ObjectInfo | undefined>;
  open(key: string, options: ReadOptions & { range?: ByteRange }): Promise<OpenedObject | undefined>;
}

export function s3Reader(client: S3Client, place: S3Place, clock: S3Clock, requestTimeoutMs: number): S3Reader {
  const object = (key: string, version: string | undefined): { Bucket: string; Key: string; VersionId?: string } => ({
    Bucket: place.bucket,
    Key: place.keyOf(key),
    ...(version === undefined ? {} : { VersionId: version }),
  });

  const get = async (
    what: string,
    key: string,
    range: string | undefined,
    { signal, version }: ReadOptions,
  ): Promise<Got | undefined> => {
    const command = new GetObjectCommand({
      ...object(key, version),
      ...(range === undefined ? {} : { Range: range }),
    });
    try {
      return await place.ask(what, signal, (once) => client.send(command, once));
    } catch (error) {
      return judgeMissing(what, error);
    }
  };

  const stat: S3Reader['stat'] = async (key, options) => {
    const what = `look at ${place.url}/${key}`;
    try {
      const command = new HeadObjectCommand(object(key, options.version));
      const head = await place.ask(what, options.signal, (once) => client.send(command, once));
      return infoOf(what, key, head.ContentLength, head, clock.now());
    } catch (error) {
      if (!isMute(error)) throw error;
      // Is it the object that is missing, or the bucket, or does a proxy answer? Only a refusal with a body says.
      const got = await get(what, key, undefined, options);
      if (got === undefined || got === 'beyond') return undefined;
      discard(got);
      return infoOf(what, key, got.ContentLength, got, clock.now());
    }
  };

  return {
    stat,
    async open(key, { range, ...options }) {
      const what = `read ${place.url}/${key}`;
      // Nothing is not a range that HTTP can ask for.
      const got = range?.bytes === 0 ? 'beyond' : await get(what, key, rangeHeader(range), options);
      if (got === undefined) return undefined;
      if (got === 'beyond') {
        const info = await stat(key, options);
        return info === undefined ? undefined : { info, chunks: noChunks() };
      }
      try {
        const { size, bytes } = extent(what, got, range);
        const info = infoOf(what, key, size, got, clock.now());
        const body = got.Body as unknown as AsyncIterable<Uint8Array>;
        const reading = { what, bytes, timeoutMs: requestTimeoutMs, signal: options.signal, failure: s3Error };
        return { info, chunks: bodyChunks(body, reading) };
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
  // 404 to who asks for the name that a marker hides, 405 to who asks for the marker itself.
  if (answer?.headers['x-amz-delete-marker'] === 'true') throw hidden(`could not ${what}`, error);
  if (answer?.status === 404 && (answer.code === 'NoSuchKey' || answer.code === 'NoSuchVersion')) return undefined;
  throw error;
}

function extent(
  what: string,
  got: GetObjectCommandOutput,
  range: ByteRange | undefined,
): { size: number; bytes: number } {
  if (got.ContentLength === undefined) throw notS3(what, 'length');
  const found = bodyExtent(got.ContentLength, got.ContentRange, range);
  if (found === undefined) throw notS3(what, 'range that was asked for');
  return found;
}

function infoOf(
  what: string,
  key: string,
  bytes: number | undefined,
  answer: HeadObjectCommandOutput | GetObjectCommandOutput,
  now: Date,
): ObjectInfo {
  const { LastModified: storedAt, ETag, VersionId: version } = answer;
  if (bytes === undefined || storedAt === undefined) throw notS3(what, 'length or date');
  const protection = protectionOf(answer, now);
  return {
    key,
    bytes,
    storedAt,
    tag: tagOf(ETag, bytes, storedAt),
    ...(version === undefined ? {} : { version }),
    ...(protection === undefined ? {} : { protection }),
  };
}

function discard(got: GetObjectCommandOutput): void {
  const body = got.Body as unknown as NodeJS.ReadableStream & { destroy(): void };
  // Its complaint about being cut off has nobody left to hear it.
  body.on('error', () => undefined);
  body.destroy();
}
