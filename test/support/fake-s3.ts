/**
 * A strict S3 in memory, over real HTTP: what AWS refuses it refuses, and it fails in the ways a script tells it to. It knows the
 * operations that walhold uses; anything else is 501, so that a new request does not pass unnoticed.
 */
import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { checkSignature } from './fake-s3-auth.ts';
import { Refusal, refuse, type S3Reply, type S3Request } from './fake-s3-messages.ts';
import { asUsual, FaultScript, type Fault } from './fake-s3-faults.ts';
import { respond } from './fake-s3-operations.ts';
import { FakeBucket, type FakeBucketOptions } from './fake-s3-bucket.ts';
import { callerOf, type Caller } from './fake-s3-rights.ts';
import { operationOf, type Operation } from './fake-s3-routes.ts';

export interface FakeS3Options {
  region?: string;
  accessKey?: string;
  /** Keys in one page of a listing, whatever the request asks. */
  pageKeys?: number;
  /** AWS wants 5 MiB in every part but the last. */
  leastPartBytes?: number;
  /** Speaks TLS with this key and certificate, both PEM. */
  tls?: { key: string; cert: string };
  /** Promises of S3 that this server breaks, as some do. */
  ignores?: readonly BrokenPromise[];
  /** How far its clock is ahead of this machine's, to begin with. */
  skewMs?: number;
}

/**
 * `conditions`, `locks-of-streams`: as radosgw 16 does. `locks`: lock headers of every write are accepted and forgotten. `shortening`:
 * retention may be shortened, as moto allows. `retention-right`: lock headers need no right of their own, as in radosgw 20.
 * `version-markers`: a page of versions begins with the one that the page before ended with, as in versitygw.
 */
export type BrokenPromise =
  | 'conditions'
  | 'checksums'
  | 'ranges'
  | 'locks'
  | 'locks-of-streams'
  | 'shortening'
  | 'retention-right'
  | 'version-markers';

export class FakeS3 implements AsyncDisposable {
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey = 'secret';
  readonly buckets: Map<string, FakeBucket> = new Map();
  /** Everything that was asked, in order of arrival. */
  readonly requests: Operation[] = [];
  readonly options: FakeS3Options;
  /** How many were opened. */
  connections = 0;
  /** How far its clock is ahead of this machine's. */
  skewMs: number;
  readonly #callers = new Map<string, Caller>();
  readonly #server: Server;
  readonly #faults = new FaultScript();

  private constructor(options: FakeS3Options) {
    this.options = options;
    this.region = options.region ?? 'us-east-1';
    this.accessKey = options.accessKey ?? 'AKFAKE';
    this.skewMs = options.skewMs ?? 0;
    this.#callers.set(this.accessKey, callerOf('everything'));
    const answer: RequestListener = (message, response) => void this.#handle(message, response);
    this.#server = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer);
    this.#server.on('connection', () => (this.connections += 1));
    this.#server.keepAliveTimeout = 60_000;
  }

  static async start(options: FakeS3Options = {}): Promise<FakeS3> {
    const fake = new FakeS3(options);
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get endpoint(): string {
    return `http${this.options.tls === undefined ? '' : 's'}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  now(): Date {
    return new Date(Date.now() + this.skewMs);
  }

  breaks(promise: BrokenPromise): boolean {
    return this.options.ignores?.includes(promise) === true;
  }

  /** A key that may do these things and nothing else (`s3:PutObject`, …). Its secret is everybody's. */
  addKey(accessKey: string, allowed: readonly string[]): void {
    this.#callers.set(accessKey, callerOf(allowed));
  }

  knows(accessKey: string): boolean {
    return this.#callers.has(accessKey);
  }

  makeBucket(name: string, options: FakeBucketOptions = {}): FakeBucket {
    const bucket = new FakeBucket(() => this.now(), options);
    this.buckets.set(name, bucket);
    return bucket;
  }

  /** The next `times` requests for `operation` (any, if left out) meet `fault`. Faults are used up in the order given. */
  fail(fault: Fault, options: { operation?: Operation; times?: number } = {}): void {
    this.#faults.add(fault, options.operation, options.times ?? 1);
  }

  /** Whether every scripted fault has happened: a test that never met its fault proves nothing. */
  get allFaultsMet(): boolean {
    return this.#faults.empty;
  }

  /** Drops the faults that nobody has met. */
  forget(): void {
    this.#faults.clear();
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    message.on('error', () => undefined);
    response.setHeader('date', this.now().toUTCString());
    try {
      const request = await readRequest(message);
      const operation = operationOf(request);
      if (operation !== undefined) this.requests.push(operation);
      const fault = this.#faults.next(operation);
      await (fault ?? asUsual)(request, () => this.#reply(request, operation), response);
    } catch {
      response.destroy();
    }
  }

  #reply(request: S3Request, operation: Operation | undefined): S3Reply {
    try {
      const caller = this.#callers.get(checkSignature(request, this)) ?? callerOf([]);
      if (operation === undefined) throw refuse(501, 'NotImplemented');
      return respond(this, operation, request, caller);
    } catch (error) {
      if (error instanceof Refusal) return error.reply;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

async function readRequest(message: IncomingMessage): Promise<S3Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const url = new URL(message.url ?? '/', 'http://fake');
  const [, bucket = '', ...key] = url.pathname.split('/');
  return {
    method: message.method ?? '',
    bucket: decodeURIComponent(bucket),
    key: decodeURIComponent(key.join('/')),
    query: url.searchParams,
    headers: message.headers as Record<string, string>,
    body: Buffer.concat(chunks),
  };
}

/** Writes a reply as S3 does: no body for HEAD, and the length of what would have been one. */
export function send(response: ServerResponse, reply: S3Reply, method: string): void {
  const body = reply.body ?? Buffer.alloc(0);
  response.writeHead(reply.status, { 'content-length': body.byteLength, ...reply.headers });
  response.end(method === 'HEAD' ? undefined : body);
}
