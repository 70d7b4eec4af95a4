import { bodyChunks, noChunks } from './body-chunks.ts';
import { bodyExtent, rangeHeader } from './byte-range.ts';
import type { GcsClient } from './gcs-client.ts';
import { gcsError, hidden, isBucketMissing, notGcs, refusalOf } from './gcs-errors.ts';
import { isListing } from './gcs-list.ts';
import { gcsObject, infoOf, OBJECT_FIELDS, type GcsObject } from './gcs-object.ts';
import type { HttpAnswer } from './gcs-http.ts';
import type { GcsPlace } from './gcs-place.ts';
import type { ByteRange, ObjectInfo, OpenedObject, ReadOptions } from './store.ts';

/** The reading half of a GCS store. */
export interface GcsReader {
  /** The live generation, or the one named. `undefined`: proven absent. */
  object(what: string, key: string, options: ReadOptions): Promise<GcsObject | undefined>;
  stat(key: string, options: ReadOptions): Promise<ObjectInfo | undefined>;
  open(key: string, options: ReadOptions & { range?: ByteRange }): Promise<OpenedObject | undefined>;
}

export function gcsReader(client: GcsClient, place: GcsPlace, requestTimeoutMs: number): GcsReader {
  const missing = async (what: string, key: string, error: unknown, options: ReadOptions): Promise<undefined> => {
    await requireAbsence(client, place, what, key, error, options);
  };

  const object: GcsReader['object'] = async (what, key, options) => {
    const query = { ...generation(options), fields: OBJECT_FIELDS };
    try {
      const request = { method: 'GET', path: place.objectPath(key), query } as const;
      const { body } = await place.ask(what, options.signal, (once) => client.json(request, once.abortSignal));
      const found = gcsObject(body);
      if (found?.name !== place.keyOf(key)) throw notGcs(what, 'description of the object');
      return found;
    } catch (error) {
      return missing(what, key, error, options);
    }
  };

  const stat: GcsReader['stat'] = async (key, options) => {
    const found = await object(`look at ${place.url}/${key}`, key, options);
    return found === undefined ? undefined : infoOf(found, key, client.now());
  };

  const get = async (
    what: string,
    key: string,
    options: ReadOptions & { range?: ByteRange },
  ): Promise<HttpAnswer | 'beyond' | undefined> => {
    const range = rangeHeader(options.range);
    // Bytes as they are stored, whatever the object says of itself.
    const headers = { 'accept-encoding': 'gzip', ...(range === undefined ? {} : { range }) };
    const query = { alt: 'media', ...generation(options) };
    try {
      const request = { method: 'GET', path: place.objectPath(key), query, headers } as const;
      return await place.ask(what, options.signal, (once) => client.send(request, once.abortSignal));
    } catch (error) {
      if (refusalOf(error)?.status === 416) return 'beyond';
      return missing(what, key, error, options);
    }
  };

  return {
    object,
    stat,
    async open(key, options) {
      const what = `read ${place.url}/${key}`;
      const { signal, range } = options;
      const got = range?.bytes === 0 ? 'beyond' : await get(what, key, options);
      if (got === undefined) return undefined;
      if (got === 'beyond') {
        const info = await stat(key, options);
        return info === undefined ? undefined : { info, chunks: noChunks() };
      }
      try {
        const { info, bytes } = described(what, key, got, range);
        const failure = gcsError;
        return { info, chunks: bodyChunks(got.body, { what, bytes, timeoutMs: requestTimeoutMs, signal, failure }) };
      } catch (error) {
        got.body.destroy();
        throw error;
      }
    },
  };
}

function generation({ version }: ReadOptions): { generation?: string } {
  return version === undefined ? {} : { generation: version };
}

/** What the headers of a download say. */
function described(
  what: string,
  key: string,
  { headers }: HttpAnswer,
  range: ByteRange | undefined,
): { info: ObjectInfo; bytes: number } {
  const version = headers['x-goog-generation'];
  const storedAt = new Date(headers['last-modified'] ?? '');
  const length = Number(headers['content-length'] ?? NaN);
  if (typeof version !== 'string') throw notGcs(what, 'generation');
  if (Number.isNaN(storedAt.getTime()) || Number.isNaN(length)) throw notGcs(what, 'length or date');
  const extent = bodyExtent(length, headers['content-range'], range);
  if (extent === undefined) throw notGcs(what, 'range that was asked for');
  return { info: { key, bytes: extent.size, storedAt, tag: version, version }, bytes: extent.bytes };
}

/**
 * A 404 is the object's, the bucket's, or somebody else's in between, and may hide older generations: only a listing that works
 * proves absence. It needs no right beyond what the 404 took, since without `storage.objects.list` the answer is 403.
 */
async function requireAbsence(
  client: GcsClient,
  place: GcsPlace,
  what: string,
  key: string,
  error: unknown,
  { signal, version }: ReadOptions,
): Promise<void> {
  if (refusalOf(error)?.status !== 404 || isBucketMissing(error)) throw error;
  const name = place.keyOf(key);
  const fields = `kind,items(${OBJECT_FIELDS})`;
  const query = { prefix: name, endOffset: `${name}!`, versions: 'true', maxResults: '100', fields };
  const request = { method: 'GET', path: `${place.bucketPath}/o`, query } as const;
  const { body } = await place.ask(what, signal, (once) => client.json(request, once.abortSignal));
  if (!isListing(body)) throw notGcs(what, 'listing');
  const found = (body.items ?? []).flatMap((item) => gcsObject(item) ?? []).filter((object) => object.name === name);
  // A generation that is not there is not there, whatever others are. A live one has come since.
  if (version !== undefined || found.length === 0 || found.some((object) => object.live)) return;
  throw hidden(what, error);
}
