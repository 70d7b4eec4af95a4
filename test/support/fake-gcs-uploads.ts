import { randomUUID } from 'node:crypto';
import { sumOf, type FakeGcsBucket, type FakeGeneration, type FakeRetention } from './fake-gcs-bucket.ts';
import { json, refuse, type GcsReply, type GcsRequest } from './fake-gcs-messages.ts';
import type { GcsRights } from './fake-gcs-rights.ts';
import type { FakeGcs } from './fake-gcs.ts';

/** What an upload says of the object to be. */
interface Plan {
  bucket: FakeGcsBucket;
  name: string;
  metadata: { crc32c?: string; retention?: FakeRetention; contentType?: string };
  condition: string | null;
  kmsKey: string | null;
}

export interface FakeSession {
  plan: Plan;
  rights: GcsRights;
  bytes: Buffer;
  finished?: FakeGeneration;
}

const CHUNK_UNIT = 256 * 1024;

export function insertInOne(fake: FakeGcs, bucket: FakeGcsBucket, request: GcsRequest, rights: GcsRights): GcsReply {
  const { metadata, bytes } = relatedParts(request);
  const plan = planOf(fake, bucket, request, metadata, rights);
  return json(bucket.resource(commit(fake, plan, bytes, rights, plan.metadata.crc32c)));
}

export function beginSession(fake: FakeGcs, bucket: FakeGcsBucket, request: GcsRequest, rights: GcsRights): GcsReply {
  const plan = planOf(fake, bucket, request, JSON.parse(request.body.toString()), rights);
  requireCondition(plan);
  const id = randomUUID();
  fake.sessions.set(id, { plan, rights, bytes: Buffer.alloc(0) });
  const path = `/upload/storage/v1/b/${bucket.name}/o?uploadType=resumable&upload_id=${id}`;
  return { status: 200, headers: { location: fake.endpoint + path } };
}

export function takeChunk(fake: FakeGcs, { query, headers, body }: GcsRequest): GcsReply {
  const session = fake.sessions.get(query.get('upload_id') ?? '');
  if (session === undefined) throw refuse(404, 'notFound', 'No such upload session.');
  if (session.finished !== undefined) return json(session.plan.bucket.resource(session.finished));
  const [, first, last, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
  if (total === undefined) throw refuse(400, 'invalid', 'Failed to parse Content-Range header.');
  if (first !== undefined) {
    if (Number(last) - Number(first) + 1 !== body.byteLength)
      throw refuse(400, 'invalid', 'Invalid request. The size of the chunk is wrong.');
    if (Number(first) !== session.bytes.byteLength)
      throw refuse(503, 'backendError', 'Invalid request. There is a gap before the chunk.');
    if (total === '*' && body.byteLength % fake.chunkUnit !== 0) {
      throw refuse(400, 'invalid', `The chunk is no multiple of ${CHUNK_UNIT} bytes.`);
    }
    session.bytes = Buffer.concat([session.bytes, body]);
  }
  if (total === '*') return incomplete(session);
  if (first === undefined) throw refuse(400, 'invalid', 'The last chunk has no bytes.');
  if (Number(total) !== session.bytes.byteLength) return incomplete(session);
  const sum = /crc32c=([^,]+)/.exec(headers['x-goog-hash'] ?? '')?.[1];
  session.finished = commit(fake, session.plan, session.bytes, session.rights, sum);
  return json(session.plan.bucket.resource(session.finished));
}

function incomplete({ bytes }: FakeSession): GcsReply {
  const headers: Record<string, string> = bytes.byteLength === 0 ? {} : { range: `bytes=0-${bytes.byteLength - 1}` };
  return { status: 308, headers };
}

export function cancelSession(fake: FakeGcs, { query }: GcsRequest): GcsReply {
  if (!fake.sessions.delete(query.get('upload_id') ?? '')) throw refuse(404, 'notFound', 'No such upload session.');
  return { status: 499 };
}

function planOf(
  fake: FakeGcs,
  bucket: FakeGcsBucket,
  { query }: GcsRequest,
  metadata: unknown,
  rights: GcsRights,
): Plan {
  const { name = query.get('name'), ...rest } = metadata as Plan['metadata'] & { name?: string };
  if (name === null) throw refuse(400, 'required', 'Required');
  rights.require('objects.create');
  const plan = {
    bucket,
    name,
    metadata: rest,
    condition: fake.ignores('conditions') ? null : query.get('ifGenerationMatch'),
    kmsKey: query.get('kmsKeyName'),
  };
  if (rest.retention !== undefined && !fake.ignores('retention')) requireLockable(fake, bucket, rest.retention, rights);
  return plan;
}

export function requireLockable(
  fake: FakeGcs,
  bucket: FakeGcsBucket,
  { mode, retainUntilTime }: FakeRetention,
  rights: GcsRights,
): void {
  rights.require('objects.setRetention');
  if (bucket.options.objectRetention !== true)
    throw refuse(400, 'invalid', 'Object retention is not enabled on the bucket.');
  if (!['Unlocked', 'Locked'].includes(mode)) throw refuse(400, 'invalid', 'Invalid retention mode.');
  const until = Date.parse(retainUntilTime);
  if (Number.isNaN(until) || until <= fake.now())
    throw refuse(400, 'invalid', 'retainUntilTime must be in the future.');
  if (until > fake.now() + 100 * 366 * 86_400_000)
    throw refuse(400, 'invalid', 'retainUntilTime is too far in the future.');
}

function requireCondition({ bucket, name, condition }: Plan): void {
  if (condition === null) return;
  const live = bucket.live(name)?.generation ?? 0n;
  if (String(live) !== condition)
    throw refuse(412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.');
}

/** All or nothing: the sum is compared before the object exists. */
function commit(fake: FakeGcs, plan: Plan, bytes: Buffer, rights: GcsRights, sum: string | undefined): FakeGeneration {
  const { bucket, name, metadata, kmsKey } = plan;
  if (sum !== undefined && sum !== sumOf(bytes) && !fake.ignores('checksums')) {
    throw refuse(400, 'invalid', `Provided CRC32C "${sum}" doesn't match calculated CRC32C "${sumOf(bytes)}".`);
  }
  requireCondition(plan);
  if (bucket.live(name) !== undefined) rights.require('objects.delete');
  return bucket.add(name, bytes, {
    ...(metadata.retention === undefined || fake.ignores('retention') || fake.ignores('early-retention')
      ? {}
      : { retention: metadata.retention }),
    ...(metadata.contentType === undefined ? {} : { contentType: metadata.contentType }),
    ...(kmsKey === null ? {} : { kmsKey }),
  });
}

/** The resource and the bytes of a multipart/related body, by its boundary. */
function relatedParts({ headers, body }: GcsRequest): { metadata: unknown; bytes: Buffer } {
  const boundary = /^multipart\/related; boundary="?([^"]+)"?$/.exec(headers['content-type'] ?? '')?.[1];
  const bad = refuse(400, 'badContent', 'Malformed multipart body.');
  if (boundary === undefined) throw bad;
  const end = body.lastIndexOf(`\r\n--${boundary}--`);
  const second = body.indexOf(`\r\n--${boundary}\r\n`, 1);
  const [firstBlank, secondBlank] = [body.indexOf('\r\n\r\n'), body.indexOf('\r\n\r\n', second)];
  if (end < 0 || second < 0 || firstBlank < 0 || secondBlank < 0) throw bad;
  const metadata: unknown = JSON.parse(body.subarray(firstBlank + 4, second).toString());
  return { metadata, bytes: Buffer.from(body.subarray(secondBlank + 4, end)) };
}
