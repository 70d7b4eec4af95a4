import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { GcsAuthorization } from './gcs-credentials.ts';
import { gcsRefusal } from './gcs-errors.ts';
import { httpConnections, type HttpAnswer, type HttpRequest } from './gcs-http.ts';

export interface GcsRequest {
  method: HttpRequest['method'];
  /** From the first slash; with `query` in place of a query of its own. */
  path: string;
  query?: Readonly<Record<string, string>>;
  headers?: Readonly<Record<string, string>>;
  body?: readonly Uint8Array[];
  /** Statuses beside 2xx that are no refusals. */
  takes?: readonly number[];
}

/**
 * Requests of the JSON API, each sent once. Credentials are the client library's business; the requests are written here, because
 * its own repeat themselves, keep whole answers in memory, cannot be aborted, send no sum before the object exists and compare
 * sums by deleting what they have just stored.
 */
export interface GcsClient {
  /** Rejects with `GcsRefusal` when the store refuses. The body is to be read, or destroyed. */
  send(request: GcsRequest, signal: AbortSignal): Promise<HttpAnswer>;
  /** The same for an answer in JSON, `undefined` for one without; a body of anything else gives `undefined` too. */
  json(request: GcsRequest, signal: AbortSignal): Promise<JsonAnswer>;
  /** The store's clock less ours, in ms, by its latest answer. */
  clockSkewMs(): number | undefined;
  /** The store's time, as far as it is known. */
  now(): number;
  close(): void;
}

export interface JsonAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: unknown;
}

export interface GcsClientSettings {
  /** `https://storage.googleapis.com` unless set. */
  endpoint?: string;
  authorization: GcsAuthorization;
  clock: Clock;
}

const ENDPOINT = 'https://storage.googleapis.com';
/** Of a refusal's body, more says nothing more. A page of a listing is below 4 MiB. */
const MOST_REFUSAL_BYTES = 64 * 1024;
const MOST_JSON_BYTES = 32 * 1024 * 1024;

export function gcsClient({ endpoint = ENDPOINT, authorization, clock }: GcsClientSettings): GcsClient {
  const connections = httpConnections();
  let skewMs: number | undefined;
  const send: GcsClient['send'] = async (request, signal) => {
    const url = urlOf(endpoint, request);
    const headers = { ...(await authorization.headers(url)), ...request.headers };
    signal.throwIfAborted();
    const { method, body } = request;
    const answer = await connections.send({ method, url, headers, ...(body === undefined ? {} : { body }) }, signal);
    const date = Date.parse(answer.headers.date ?? '');
    // The header is cut to the second.
    if (!Number.isNaN(date)) skewMs = date + 500 - clock.now();
    const { status } = answer;
    if ((status >= 200 && status < 300) || request.takes?.includes(status) === true) return answer;
    if (status === 401) authorization.forget();
    throw gcsRefusal(status, (await read(answer, MOST_REFUSAL_BYTES)).toString());
  };
  return {
    send,
    async json(request, signal) {
      const answer = await send(request, signal);
      const bytes = await read(answer, MOST_JSON_BYTES);
      return { status: answer.status, headers: answer.headers, body: parsed(bytes) };
    },
    clockSkewMs: () => skewMs,
    now: () => clock.now() + (skewMs ?? 0),
    close: () => connections.close(),
  };
}

/** Below the endpoint's own path, if it has one. */
function urlOf(endpoint: string, { path, query }: GcsRequest): URL {
  const url = new URL(endpoint.replace(/\/+$/, '') + path);
  for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
  return url;
}

async function read({ body }: HttpAnswer, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > mostBytes) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    return undefined;
  }
}
