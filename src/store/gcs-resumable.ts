/**
 * The requests of a resumable upload (Google's "Resumable uploads"), each once and unrepeated. Its session is a URL that needs no
 * credentials, so it is never shown. The chunks go one after the other; the sum of them all goes with the last one
 * (`X-Goog-Hash`), and the store compares before the object exists.
 */
import { checksumText } from './checksum.ts';
import type { GcsClient, GcsRequest, JsonAnswer } from './gcs-client.ts';
import { isCorrupted, isTaken, notGcs, refusalOf } from './gcs-errors.ts';
import type { GcsPlace } from './gcs-place.ts';
import { CONTENT_TYPE, insertObject, lockRefused, uploadMetadata, uploadQuery } from './gcs-write.ts';
import type { GcsObjectOptions, Inserted } from './gcs-write.ts';
import type { GcsObject } from './gcs-object.ts';
import type { GcsReader } from './gcs-read.ts';

export interface ResumableRequests {
  /** `store gs://…`, for messages. */
  what: string;
  /** The whole in one request. */
  insert(bytes: Uint8Array, signal: AbortSignal): Promise<Inserted>;
  /** The session's path, or `exists`: a taken name is refused before any byte is sent. */
  begin(signal: AbortSignal): Promise<{ session: string } | 'exists'>;
  /** Bytes from `offset` on; with `end`, they are the last. */
  send(session: string, piece: Piece, signal: AbortSignal): Promise<SessionState>;
  /** How far the store has got. */
  ask(session: string, signal: AbortSignal): Promise<SessionState>;
  /** What lies under the name. `undefined`: absent. */
  stored(signal: AbortSignal): Promise<GcsObject | undefined>;
  /** Frees what was sent, as well as can be done at once; the store does it in a week. Never throws. */
  cancel(session: string, signal: AbortSignal): Promise<void>;
}

export interface Piece {
  offset: number;
  bytes: Uint8Array;
  /** Size and CRC-32C of the whole, with the last piece. */
  end?: { size: number; sum: number };
}

/**
 * `open`: the first `kept` bytes are the store's, the rest is to be sent. `done`: the answer describes the object. `exists`: the name
 * was taken in the meantime. `gone`: there is no such session, or no more. `corrupted`: what arrived does not fit its sum.
 */
export type SessionState =
  { kind: 'open'; kept: number } | { kind: 'done'; answer: unknown } | { kind: 'exists' | 'gone' | 'corrupted' };

const CANCEL_MS = 5000;
const CANCEL_IN_A_HURRY_MS = 1000;
/** What the store answers to a cancellation. */
const CANCELLED = 499;
const INCOMPLETE = 308;

export function resumableRequests(
  client: GcsClient,
  place: GcsPlace,
  reader: GcsReader,
  key: string,
  options: GcsObjectOptions,
): ResumableRequests {
  const what = `store ${place.url}/${key}`;
  const json = (request: GcsRequest, signal: AbortSignal): Promise<JsonAnswer> =>
    place.ask(what, signal, (once) => client.json(request, once.abortSignal));

  const put = async (
    session: string,
    range: string,
    piece: Partial<Piece>,
    signal: AbortSignal,
  ): Promise<SessionState> => {
    const { bytes = new Uint8Array(0), end } = piece;
    const headers = {
      'content-range': `bytes ${range}`,
      ...(end === undefined ? {} : { 'x-goog-hash': `crc32c=${checksumText(end.sum)}` }),
    };
    try {
      const request = { method: 'PUT', path: session, headers, body: [bytes], takes: [INCOMPLETE] } as const;
      return stateOf(what, await json(request, signal));
    } catch (error) {
      return failedState(error);
    }
  };

  return {
    what,
    insert: (bytes, signal) => insertObject(client, place, key, bytes, { ...options, signal }),

    async begin(signal) {
      const request = {
        method: 'POST',
        path: place.uploadPath,
        query: uploadQuery('resumable', options),
        headers: { 'content-type': 'application/json; charset=UTF-8', 'x-upload-content-type': CONTENT_TYPE },
        body: [uploadMetadata(place.keyOf(key), options, client.now())],
      } as const;
      try {
        const { headers } = await json(request, signal);
        return { session: sessionPath(what, headers.location) };
      } catch (error) {
        if (isTaken(error)) return 'exists';
        throw lockRefused(what, error, options.lock);
      }
    },

    send: (session, piece, signal) => put(session, rangeOf(piece), piece, signal),
    ask: (session, signal) => put(session, '*/*', {}, signal),
    stored: (signal) => reader.object(what, key, { signal }),

    async cancel(session, signal) {
      const limit = AbortSignal.timeout(signal.aborted ? CANCEL_IN_A_HURRY_MS : CANCEL_MS);
      await json({ method: 'DELETE', path: session, takes: [CANCELLED] }, limit).catch(() => undefined);
    },
  };
}

/** Of the URL, the host is left out: what belongs to this repository goes to its endpoint. */
function sessionPath(what: string, location: string | undefined): string {
  if (location === undefined || !URL.canParse(location)) throw notGcs(what, 'session of the upload');
  const { pathname, search } = new URL(location);
  return pathname + search;
}

/** `Content-Range` of a piece; `*` for bytes when there are none, and for the size while it is not known. */
function rangeOf({ offset, bytes, end }: Piece): string {
  const last = offset + bytes.byteLength - 1;
  return `${bytes.byteLength === 0 ? '*' : `${offset}-${last}`}/${end === undefined ? '*' : end.size}`;
}

function stateOf(what: string, { status, headers, body }: JsonAnswer): SessionState {
  if (status !== INCOMPLETE) return { kind: 'done', answer: body };
  if (headers.range === undefined) return { kind: 'open', kept: 0 };
  const last = /^bytes=0-(\d+)$/.exec(headers.range)?.[1];
  if (last === undefined) throw notGcs(what, 'range of what it has');
  return { kind: 'open', kept: Number(last) + 1 };
}

function failedState(error: unknown): SessionState {
  if (isTaken(error)) return { kind: 'exists' };
  if (isCorrupted(error)) return { kind: 'corrupted' };
  const status = refusalOf(error)?.status;
  if (status === 404 || status === 410) return { kind: 'gone' };
  throw error;
}
