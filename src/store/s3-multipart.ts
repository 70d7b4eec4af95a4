import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  UploadPartCommand,
  type CompletedPart,
  type S3Client,
} from '@aws-sdk/client-s3';
import { addCrc32c, checksumText, parseChecksum } from './checksum.ts';
import { answerOf, isTaken } from './s3-errors.ts';
import type { LockAsked } from './s3-lock-ask.ts';
import { notS3, type S3Place } from './s3-place.ts';
import { objectHeaders, putObject, type S3ObjectOptions, type Written } from './s3-write.ts';

/** The requests of one stream's upload, each once and unrepeated. */
export interface MultipartRequests {
  /** `store s3://…`, for messages. */
  what: string;
  put(bytes: Uint8Array, signal: AbortSignal): Promise<Written | 'exists'>;
  begin(signal: AbortSignal): Promise<BegunUpload>;
  part(uploadId: string, number: number, bytes: Uint8Array, signal: AbortSignal): Promise<FinishedPart>;
  /** `conflict`: the upload is dead (409). `gone`: there is no such upload, or no more. */
  complete(
    upload: BegunUpload,
    parts: readonly FinishedPart[],
    sum: number,
    signal: AbortSignal,
  ): Promise<Written | 'exists' | 'conflict' | 'gone'>;
  /** What lies under the key; without a sum where the store does not tell it. `undefined`: absent. */
  stored(signal: AbortSignal): Promise<StoredObject | undefined>;
  /** Frees the parts, as well as can be done at once; a lifecycle rule does what this cannot. Never throws. */
  abort(uploadId: string, signal: AbortSignal): Promise<void>;
}

export interface BegunUpload {
  id: string;
  lock: LockAsked | undefined;
}

export interface StoredObject {
  bytes: number;
  sum?: number;
  version: string | undefined;
}

export interface FinishedPart {
  number: number;
  etag: string;
  sum: number;
}

/** How long a failing call is held up to free its parts: after a failure, and when the caller has already given up. */
const ABORT_MS = 5000;
const ABORT_IN_A_HURRY_MS = 1000;

export class S3Multipart implements MultipartRequests {
  readonly what: string;
  private readonly object: { Bucket: string; Key: string };
  private readonly client: S3Client;
  private readonly place: S3Place;
  private readonly key: string;
  private readonly options: S3ObjectOptions;

  constructor(client: S3Client, place: S3Place, key: string, options: S3ObjectOptions) {
    this.what = `store ${place.url}/${key}`;
    this.object = { Bucket: place.bucket, Key: place.keyOf(key) };
    this.client = client;
    this.place = place;
    this.key = key;
    this.options = options;
  }

  put(bytes: Uint8Array, signal: AbortSignal): Promise<Written | 'exists'> {
    return putObject(this.client, this.place, this.key, bytes, { ...this.options, signal });
  }

  async begin(signal: AbortSignal): Promise<BegunUpload> {
    const lock = this.options.lock?.now();
    const command = new CreateMultipartUploadCommand({
      ...this.object,
      ...objectHeaders(this.options, lock),
      ChecksumAlgorithm: 'CRC32C',
      ChecksumType: 'FULL_OBJECT',
    });
    try {
      const begun = await this.ask(signal, (once) => this.client.send(command, once));
      if (begun.UploadId === undefined) throw notS3(this.what, 'upload id');
      lock?.answered();
      return { id: begun.UploadId, lock };
    } catch (error) {
      throw this.options.lock?.judge(error) ?? error;
    }
  }

  async part(uploadId: string, number: number, bytes: Uint8Array, signal: AbortSignal): Promise<FinishedPart> {
    const sum = addCrc32c(0, bytes);
    const command = new UploadPartCommand({
      ...this.object,
      UploadId: uploadId,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.byteLength,
      ChecksumAlgorithm: 'CRC32C',
      ChecksumCRC32C: checksumText(sum),
    });
    const sent = await this.ask(signal, (once) => this.client.send(command, once));
    if (sent.ETag === undefined) throw notS3(this.what, 'tag of the part');
    return { number, etag: sent.ETag, sum };
  }

  async complete(
    upload: BegunUpload,
    parts: readonly FinishedPart[],
    sum: number,
    signal: AbortSignal,
  ): Promise<Written | 'exists' | 'conflict' | 'gone'> {
    const command = new CompleteMultipartUploadCommand({
      ...this.object,
      UploadId: upload.id,
      IfNoneMatch: '*',
      ChecksumType: 'FULL_OBJECT',
      ChecksumCRC32C: checksumText(sum),
      MultipartUpload: { Parts: parts.map(listedPart) },
    });
    try {
      const stored = await this.ask(signal, (once) => this.client.send(command, once));
      if (stored.ETag === undefined) throw notS3(this.what, 'ETag');
      return { version: stored.VersionId, lock: upload.lock };
    } catch (error) {
      if (isTaken(error)) return 'exists';
      const code = answerOf(error)?.code;
      if (code === 'ConditionalRequestConflict') return 'conflict';
      if (code === 'NoSuchUpload') return 'gone';
      throw error;
    }
  }

  async stored(signal: AbortSignal): Promise<StoredObject | undefined> {
    const command = new HeadObjectCommand({ ...this.object, ChecksumMode: 'ENABLED' });
    try {
      const head = await this.ask(signal, (once) => this.client.send(command, once));
      const sum = parseChecksum(head.ChecksumCRC32C);
      const known = sum === undefined ? {} : { sum };
      return { bytes: head.ContentLength ?? -1, version: head.VersionId, ...known };
    } catch (error) {
      if (answerOf(error)?.status === 404) return undefined;
      throw error;
    }
  }

  async abort(uploadId: string, signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.timeout(signal.aborted ? ABORT_IN_A_HURRY_MS : ABORT_MS);
    const command = new AbortMultipartUploadCommand({ ...this.object, UploadId: uploadId });
    await this.ask(limit, (once) => this.client.send(command, once)).catch(() => undefined);
  }

  private ask<T>(signal: AbortSignal, send: (once: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> {
    return this.place.ask(this.what, signal, send);
  }
}

function listedPart(part: FinishedPart): CompletedPart {
  return { PartNumber: part.number, ETag: part.etag, ChecksumCRC32C: checksumText(part.sum) };
}
