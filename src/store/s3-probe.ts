import { DeleteObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { hasCode } from '../base/errors.ts';
import { addCrc32c, checksumText } from './checksum.ts';
import { requireObjectKey } from './object-key.ts';
import { answerOf } from './s3-errors.ts';
import type { S3Place } from './s3-place.ts';
import type { S3Reader } from './s3-read.ts';
import { putObject, type S3ObjectOptions } from './s3-write.ts';
import type { CallOptions, StoreProbe } from './store.ts';

/** What an attacker with these credentials would try, and what a careless server would let pass. */
export class S3Probe implements StoreProbe {
  private readonly client: S3Client;
  private readonly place: S3Place;
  private readonly reader: S3Reader;
  private readonly settings: Pick<S3ObjectOptions, 'kmsKey' | 'storageClass'>;

  constructor(
    client: S3Client,
    place: S3Place,
    reader: S3Reader,
    settings: Pick<S3ObjectOptions, 'kmsKey' | 'storageClass'>,
  ) {
    this.client = client;
    this.place = place;
    this.reader = reader;
    this.settings = settings;
  }

  async createWithWrongChecksum(
    key: string,
    bytes: Uint8Array,
    { signal }: CallOptions,
  ): Promise<'created' | 'exists'> {
    requireObjectKey(key);
    const written = await putObject(this.client, this.place, key, bytes, { ...this.settings, signal, sum: 0xbad });
    return written === 'exists' ? 'exists' : 'created';
  }

  async overwrite(key: string, bytes: Uint8Array, { signal }: CallOptions): Promise<'refused' | 'accepted'> {
    requireObjectKey(key);
    const command = new PutObjectCommand({
      ...this.object(key),
      Body: bytes,
      ContentLength: bytes.byteLength,
      ChecksumAlgorithm: 'CRC32C',
      ChecksumCRC32C: checksumText(addCrc32c(0, bytes)),
    });
    return this.tries(`overwrite ${this.place.url}/${key}`, signal, (once) => this.client.send(command, once));
  }

  async remove(
    key: string,
    options: CallOptions,
  ): Promise<{ name: 'refused' | 'accepted'; version: 'refused' | 'accepted' | 'untried' }> {
    requireObjectKey(key);
    const { signal } = options;
    const version = await this.versionOf(key, options);
    const name = await this.delete(key, signal, {});
    if (version === undefined) return { name, version: 'untried' };
    const plainly = await this.delete(key, signal, { VersionId: version });
    if (plainly === 'accepted') return { name, version: 'accepted' };
    const bypassing = await this.delete(key, signal, { VersionId: version, BypassGovernanceRetention: true });
    return { name, version: bypassing };
  }

  async encryption(
    key: string,
    { signal }: CallOptions,
  ): Promise<{ method: string; kmsKey: string | undefined } | undefined> {
    requireObjectKey(key);
    const command = new HeadObjectCommand(this.object(key));
    try {
      const what = `look at ${this.place.url}/${key}`;
      const head = await this.place.ask(what, signal, (once) => this.client.send(command, once));
      const { ServerSideEncryption: method, SSEKMSKeyId: kmsKey } = head;
      return method === undefined ? undefined : { method, kmsKey };
    } catch (error) {
      if (answerOf(error)?.status === 404) return undefined;
      throw error;
    }
  }

  /** `undefined` too where an earlier probe's marker hides it, or without versions. */
  private async versionOf(key: string, options: CallOptions): Promise<string | undefined> {
    try {
      return (await this.reader.stat(key, options))?.version;
    } catch (error) {
      if (hasCode(error, 'damaged', 'denied')) return undefined;
      throw error;
    }
  }

  private delete(
    key: string,
    signal: AbortSignal,
    how: { VersionId?: string; BypassGovernanceRetention?: boolean },
  ): Promise<'refused' | 'accepted'> {
    const command = new DeleteObjectCommand({ ...this.object(key), ...how });
    return this.tries(`delete ${this.place.url}/${key}`, signal, (once) => this.client.send(command, once));
  }

  private async tries(
    what: string,
    signal: AbortSignal,
    request: (once: { abortSignal: AbortSignal }) => Promise<unknown>,
  ): Promise<'refused' | 'accepted'> {
    try {
      await this.place.ask(what, signal, request);
      return 'accepted';
    } catch (error) {
      const answer = answerOf(error);
      // A bucket without locks has no bypass either (400); some servers know no delete by version (405, 501).
      const refusals = [400, 403, 405, 412, 501];
      if (answer !== undefined && refusals.includes(answer.status) && !ABOUT_THE_KEY.has(answer.code)) return 'refused';
      throw error;
    }
  }

  private object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.place.bucket, Key: this.place.keyOf(key) };
  }
}

/** Refusals that say who we are not, instead of what we may not. */
const ABOUT_THE_KEY: ReadonlySet<string> = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'InvalidToken',
  'ExpiredToken',
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'RequestTimeTooSkewed',
  'AuthorizationHeaderMalformed',
]);
