/**
 * A strict Google Cloud Storage in memory, over real HTTP: what Google refuses it refuses, and it fails in the ways a script tells it
 * to. It knows the calls that walhold makes; anything else is 501, so that a new request does not pass unnoticed.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeGcsBucket, type FakeGcsBucketOptions } from './fake-gcs-bucket.ts';
import { refuse, type GcsReply, type GcsRequest } from './fake-gcs-messages.ts';
import { respond } from './fake-gcs-operations.ts';
import { GcsRights, type GcsRight } from './fake-gcs-rights.ts';
import { callOf, type GcsCall, type GcsOperation } from './fake-gcs-routes.ts';
import type { FakeSession } from './fake-gcs-uploads.ts';
import { asUsual, FaultScript, type Fault } from './fake-s3-faults.ts';
import { Refusal } from './fake-s3-messages.ts';

/** `early-retention`: that which is asked for with the object. */
export type FakePromise = 'conditions' | 'checksums' | 'ranges' | 'retention' | 'early-retention';

export interface FakeGcsOptions {
  /** Entries in one page of a listing, whatever the request asks. */
  pageItems?: number;
  /** Google's chunks are multiples of 256 KiB. */
  chunkUnit?: number;
  /** Promises of Google's that this server breaks. */
  ignores?: readonly FakePromise[];
  /** Who may do what, by bearer token; without it everybody everything. */
  tokens?: Readonly<Record<string, readonly GcsRight[] | 'all'>>;
  /** The server's clock, in ms. */
  now?: () => number;
}

export class FakeGcs implements AsyncDisposable {
  readonly buckets: Map<string, FakeGcsBucket> = new Map();
  readonly sessions: Map<string, FakeSession> = new Map();
  /** Everything that was asked, in order of arrival. */
  readonly requests: GcsOperation[] = [];
  /** The same in full. */
  readonly seen: GcsRequest[] = [];
  readonly options: FakeGcsOptions;
  readonly now: () => number;
  /** How many were opened. */
  connections = 0;
  readonly #server: Server;
  readonly #faults = new FaultScript<GcsOperation>();

  private constructor(options: FakeGcsOptions) {
    this.options = options;
    this.now = options.now ?? Date.now;
    this.#server = createServer((message, response) => void this.#handle(message, response));
    this.#server.on('connection', () => (this.connections += 1));
    this.#server.keepAliveTimeout = 60_000;
  }

  static async start(options: FakeGcsOptions = {}): Promise<FakeGcs> {
    const fake = new FakeGcs(options);
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get chunkUnit(): number {
    return this.options.chunkUnit ?? 256 * 1024;
  }

  ignores(promise: FakePromise): boolean {
    return this.options.ignores?.includes(promise) === true;
  }

  makeBucket(name: string, options: FakeGcsBucketOptions = {}): FakeGcsBucket {
    const bucket = new FakeGcsBucket(name, options, this.now);
    this.buckets.set(name, bucket);
    return bucket;
  }

  /** The next `times` requests for `operation` (any, if left out) meet `fault`. Faults are used up in the order given. */
  fail(fault: Fault, options: { operation?: GcsOperation; times?: number } = {}): void {
    this.#faults.add(fault, options.operation, options.times ?? 1);
  }

  /** Drops the faults that nobody has met. */
  forget(): void {
    this.#faults.clear();
  }

  /** Whether every scripted fault has happened: a test that never met its fault proves nothing. */
  get allFaultsMet(): boolean {
    return this.#faults.empty;
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    message.on('error', () => undefined);
    try {
      const request = await readRequest(message);
      const call = callOf(request);
      this.seen.push(request);
      if (call !== undefined) this.requests.push(call.operation);
      response.setHeader('date', new Date(this.now()).toUTCString());
      const fault = this.#faults.next(call?.operation);
      await (fault ?? asUsual)(request, () => this.#reply(request, call), response);
    } catch {
      response.destroy();
    }
  }

  #reply(request: GcsRequest, call: GcsCall | undefined): GcsReply {
    try {
      if (call === undefined) throw refuse(501, 'notImplemented', 'the fake does not know this call');
      return respond(this, call, request, this.#rightsOf(request));
    } catch (error) {
      if (error instanceof Refusal) return error.reply;
      throw error;
    }
  }

  #rightsOf({ headers }: GcsRequest): GcsRights {
    const { tokens } = this.options;
    if (tokens === undefined) return new GcsRights('all');
    const token = /^Bearer (.+)$/.exec(headers['authorization'] ?? '')?.[1] ?? '';
    const rights = tokens[token];
    if (rights === undefined) throw refuse(401, 'authError', 'Invalid Credentials');
    return new GcsRights(rights);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Names stay as they are encoded: a slash of an object's name is not one of the path. */
async function readRequest(message: IncomingMessage): Promise<GcsRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const url = new URL(message.url ?? '/', 'http://fake');
  return {
    method: message.method ?? '',
    bucket: '',
    key: url.pathname.slice(1),
    query: url.searchParams,
    headers: message.headers as Record<string, string>,
    body: Buffer.concat(chunks),
  };
}
