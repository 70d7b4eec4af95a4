import { noObject, sumOf, type FakeGcsBucket, type FakeGeneration, type FakeRetention } from './fake-gcs-bucket.ts';
import { listedPage, tokenOf } from './fake-gcs-listing.ts';
import { json, plainly, refuse, type GcsReply, type GcsRequest } from './fake-gcs-messages.ts';
import type { GcsRights } from './fake-gcs-rights.ts';
import type { GcsCall } from './fake-gcs-routes.ts';
import { beginSession, cancelSession, insertInOne, requireLockable, takeChunk } from './fake-gcs-uploads.ts';
import type { FakeGcs } from './fake-gcs.ts';
import { Refusal } from './fake-s3-messages.ts';

/** Carries out one call, with Google's rules. */
export function respond(fake: FakeGcs, call: GcsCall, request: GcsRequest, rights: GcsRights): GcsReply {
  switch (call.operation) {
    // A session's URL is its own credential.
    case 'chunk':
      return takeChunk(fake, request);
    case 'cancel':
      return cancelSession(fake, request);
    case 'insert':
      return insertInOne(fake, bucketOf(fake, call), request, rights);
    case 'begin':
      return beginSession(fake, bucketOf(fake, call), request, rights);
    case 'get':
      return getObject(bucketOf(fake, call), call, request, rights);
    case 'download':
      return download(fake, call, request, rights);
    case 'list':
      return list(fake, bucketOf(fake, call), request, rights);
    case 'patch':
      return patch(fake, bucketOf(fake, call), call, request, rights);
    case 'delete':
      rights.require('objects.delete');
      bucketOf(fake, call).remove(call.name, request.query.get('generation'));
      return { status: 204 };
    case 'getBucket':
      return getBucket(bucketOf(fake, call), rights);
  }
}

function bucketOf(fake: FakeGcs, { bucket }: GcsCall): FakeGcsBucket {
  const found = fake.buckets.get(bucket);
  if (found === undefined) throw refuse(404, 'notFound', 'The specified bucket does not exist.');
  return found;
}

function find(bucket: FakeGcsBucket, { name }: GcsCall, { query }: GcsRequest, rights: GcsRights): FakeGeneration {
  rights.require('objects.get');
  const found = bucket.find(name, query.get('generation'));
  if (found !== undefined) return found;
  // Who may not list is not told what is absent.
  rights.require('objects.list');
  throw noObject(bucket, name);
}

function getObject(bucket: FakeGcsBucket, call: GcsCall, request: GcsRequest, rights: GcsRights): GcsReply {
  return json(bucket.resource(find(bucket, call, request, rights)));
}

function download(fake: FakeGcs, call: GcsCall, request: GcsRequest, rights: GcsRights): GcsReply {
  try {
    const { bytes, generation, createdMs } = find(bucketOf(fake, call), call, request, rights);
    const headers = {
      'x-goog-generation': String(generation),
      'x-goog-hash': `crc32c=${sumOf(bytes)}`,
      'last-modified': new Date(createdMs).toUTCString(),
      'content-type': 'application/octet-stream',
    };
    const range = fake.ignores('ranges') ? undefined : request.headers['range'];
    const asked = /^bytes=(\d*)-(\d*)$/.exec(range ?? '');
    if (asked === null) return { status: 200, headers, body: bytes };
    const size = bytes.byteLength;
    const from = asked[1] === '' ? Math.max(0, size - Number(asked[2])) : Number(asked[1]);
    const to = asked[1] === '' || asked[2] === '' ? size : Math.min(size, Number(asked[2]) + 1);
    if (from >= size) throw refuse(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable');
    const contentRange = `bytes ${from}-${to - 1}/${size}`;
    return { status: 206, headers: { ...headers, 'content-range': contentRange }, body: bytes.subarray(from, to) };
  } catch (error) {
    if (error instanceof Refusal) return plainly(error.reply);
    throw error;
  }
}

function list(fake: FakeGcs, bucket: FakeGcsBucket, { query }: GcsRequest, rights: GcsRights): GcsReply {
  rights.require('objects.list', 'the Google Cloud Storage bucket');
  const page = listedPage(bucket, {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    startOffset: query.get('startOffset') ?? '',
    endOffset: query.get('endOffset') ?? '',
    versions: query.get('versions') === 'true',
    skip: tokenOf(query.get('pageToken')),
    most: Math.min(Number(query.get('maxResults') ?? 1000), fake.options.pageItems ?? 1000),
  });
  return json(page);
}

interface Patch {
  retention?: FakeRetention | null;
  temporaryHold?: boolean;
  eventBasedHold?: boolean;
}

function patch(fake: FakeGcs, bucket: FakeGcsBucket, call: GcsCall, request: GcsRequest, rights: GcsRights): GcsReply {
  const found = find(bucket, call, request, rights);
  rights.require('objects.update');
  const match = request.query.get('ifMetagenerationMatch');
  if (match !== null && match !== String(found.metageneration)) {
    throw refuse(412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.');
  }
  const changes = JSON.parse(request.body.toString()) as Patch;
  if (changes.retention !== undefined && !fake.ignores('retention')) {
    const override = request.query.get('overrideUnlockedRetention') === 'true';
    changeRetention(fake, bucket, found, changes.retention, override, rights);
  }
  if (changes.temporaryHold !== undefined) found.temporaryHold = changes.temporaryHold;
  if (changes.eventBasedHold !== undefined) found.eventBasedHold = changes.eventBasedHold;
  found.metageneration += 1;
  return json(bucket.resource(found));
}

/** Locked: longer only. Unlocked: longer freely, anything else with the right to override and by saying so. */
function changeRetention(
  fake: FakeGcs,
  bucket: FakeGcsBucket,
  found: FakeGeneration,
  wanted: FakeRetention | null,
  override: boolean,
  rights: GcsRights,
): void {
  if (wanted !== null) requireLockable(fake, bucket, wanted, rights);
  else rights.require('objects.setRetention');
  const held = found.retention;
  const inForce = held !== undefined && Date.parse(held.retainUntilTime) > fake.now();
  if (inForce) {
    const longer = wanted !== null && Date.parse(wanted.retainUntilTime) >= Date.parse(held.retainUntilTime);
    const kept = longer && wanted.mode === held.mode;
    if (!kept && held.mode === 'Locked') {
      throw refuse(403, 'forbidden', 'A Locked retention configuration can only be lengthened.');
    }
    if (!kept) {
      rights.require('objects.overrideUnlockedRetention');
      if (!override) throw refuse(403, 'forbidden', 'The change needs overrideUnlockedRetention=true.');
    }
  }
  if (wanted === null) delete found.retention;
  else found.retention = wanted;
}

function getBucket(bucket: FakeGcsBucket, rights: GcsRights): GcsReply {
  rights.require('buckets.get', 'the Google Cloud Storage bucket');
  const { versioning, objectRetention, retentionPolicy, lifecycle } = bucket.options;
  return json({
    kind: 'storage#bucket',
    name: bucket.name,
    ...(versioning === undefined ? {} : { versioning: { enabled: versioning } }),
    ...(objectRetention === true ? { objectRetention: { mode: 'Enabled' } } : {}),
    ...(retentionPolicy === undefined
      ? {}
      : {
          retentionPolicy: {
            retentionPeriod: String(retentionPolicy.seconds),
            ...(retentionPolicy.locked === true ? { isLocked: true } : {}),
          },
        }),
    ...(lifecycle === undefined ? {} : { lifecycle: { rule: lifecycle } }),
  });
}
