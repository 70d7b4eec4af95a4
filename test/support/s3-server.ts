import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { serverProgram, type S3ServerName } from '../../scripts/test-servers.ts';
import { answersRequests, makeBucket, type BucketOptions } from './bucket.ts';
import { freePort } from './free-port.ts';
import { Place } from './place.ts';
import { plainEnvironment } from './run.ts';
import { ServerProcess } from './server-process.ts';
import { GiveUp, waitFor } from './wait-for.ts';

/** `external`: the one that `WALHOLD_TEST_S3_ENDPOINT` names, which cannot be stopped or paused. */
export type S3ServerKind = S3ServerName | 'external';

/** Where an S3 server is and who may do everything there. */
export interface S3Access {
  endpoint: string;
  region: string;
  accessKey: string;
  secretKey: string;
  /** The authority that has signed its certificate, as PEM, when the endpoint is `https:`. */
  ca?: string;
}

/** What a server needs to speak TLS, as PEM. */
export interface Certificate {
  certificate: string;
  key: string;
}

export interface S3Server extends S3Access, AsyncDisposable {
  readonly kind: S3ServerKind;
  makeBucket(name: string, options?: BucketOptions): Promise<void>;
  /** Ends it in its own way; connections are refused from then on. */
  stop(): Promise<void>;
  /** Starts it again, on the same port and with its data. */
  start(): Promise<void>;
  /** From now on it accepts connections and answers nothing, until {@link resume}. */
  pause(): void;
  resume(): void;
  kill(): Promise<void>;
}

/**
 * The servers that tests can run against here. Where one is missing, tests that need it are to be skipped
 * (`describe.skipIf(!s3ServerKinds().includes('minio'))`), which is said once on stderr.
 *
 * @throws when one is missing in CI, where skipping would hide what was never tested.
 */
export function s3ServerKinds(): S3ServerKind[] {
  if (process.env['WALHOLD_TEST_S3_ENDPOINT'] !== undefined) return ['external'];
  const kinds = ['versitygw', 'minio'] as const;
  const found = kinds.filter((name) => serverProgram(name) !== undefined);
  const missing = kinds.filter((name) => !found.includes(name));
  if (missing.length > 0) {
    const how = 'scripts/test-servers.ts builds them, WALHOLD_TEST_S3_ENDPOINT names one';
    const reason = `no ${missing.join(' and no ')} to test against: ${how}`;
    if (process.env['CI'] === 'true') throw new Error(reason);
    process.stderr.write(`skipped: ${reason}\n`);
  }
  return found;
}

/** Starts a server of this kind, or of the first that is to be had. */
export async function startS3Server(kind: S3ServerKind | undefined = s3ServerKinds()[0]): Promise<S3Server> {
  switch (kind) {
    case undefined:
      throw new Error('there is no S3 server to start');
    case 'external':
      return externalServer();
    case 'minio':
      return await startMinio();
    case 'versitygw':
      return await startVersitygw();
  }
}

export async function startVersitygw(): Promise<S3Server> {
  return await startLocal('versitygw', async (place, address, access) => {
    const data = await place.folder('data');
    const versions = await place.folder('versions');
    const accounts = await place.folder('accounts');
    const options = ['--port', address, '--iam-dir', accounts, '--health', '/health', '--quiet', '--keep-alive'];
    return {
      args: [...options, 'posix', '--versioning-dir', versions, data],
      env: { ROOT_ACCESS_KEY: access.accessKey, ROOT_SECRET_KEY: access.secretKey, VGW_REGION: access.region },
      health: '/health',
    };
  });
}

/** With a certificate for `localhost`, signed by itself, it speaks TLS. */
export async function startMinio(tls?: Certificate): Promise<S3Server> {
  const describe = async (place: Place, address: string, access: S3Access): Promise<HowToStart> => {
    const certificates = await place.folder('certs');
    if (tls !== undefined) {
      await place.file('certs/public.crt', tls.certificate);
      await place.file('certs/private.key', tls.key);
    }
    const options = ['--quiet', '--certs-dir', certificates, '--address', address];
    return {
      args: ['server', ...options, await place.folder('data')],
      env: { MINIO_ROOT_USER: access.accessKey, MINIO_ROOT_PASSWORD: access.secretKey, MINIO_BROWSER: 'off' },
      health: '/minio/health/ready',
    };
  };
  return await startLocal('minio', describe, tls);
}

interface HowToStart {
  args: string[];
  env: Record<string, string>;
  /** A path that is answered with 200 once the server works. */
  health: string;
}

async function startLocal(
  kind: S3ServerName,
  describe: (place: Place, address: string, access: S3Access) => Promise<HowToStart>,
  tls?: Certificate,
): Promise<S3Server> {
  const program = serverProgram(kind);
  if (program === undefined) throw new Error(`${kind} is not installed: scripts/test-servers.ts ${kind}`);
  const place = await Place.create(kind, 'current user');
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const access = {
    endpoint: tls === undefined ? `http://${address}` : `https://localhost:${port}`,
    ...(tls === undefined ? {} : { ca: tls.certificate }),
    region: 'us-east-1',
    accessKey: 'walhold-test',
    secretKey: randomBytes(16).toString('hex'),
  };
  const how = await describe(place, address, access);
  const server = new LocalServer(kind, access, place, [program, ...how.args], how);
  await server.start();
  return server;
}

/** A server of this process's own. Its keys open nothing but itself. */
class LocalServer implements S3Server {
  readonly kind: S3ServerName;
  readonly endpoint: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly ca?: string;
  readonly #place: Place;
  readonly #argv: readonly string[];
  readonly #how: HowToStart;
  #process: ServerProcess | undefined;
  readonly #killNow = (): void => this.#process?.killNow();

  constructor(kind: S3ServerName, access: S3Access, place: Place, argv: readonly string[], how: HowToStart) {
    this.kind = kind;
    this.endpoint = access.endpoint;
    this.region = access.region;
    this.accessKey = access.accessKey;
    this.secretKey = access.secretKey;
    if (access.ca !== undefined) this.ca = access.ca;
    this.#place = place;
    this.#argv = argv;
    this.#how = how;
    process.once('exit', this.#killNow);
  }

  async start(): Promise<void> {
    const env = { ...plainEnvironment(), HOME: this.#place.path, ...this.#how.env };
    const server = new ServerProcess(this.#place.owner, this.#argv, env, join(this.#place.path, 'server.log'));
    this.#process = server;
    const probe = async (): Promise<boolean> => {
      if (server.ending !== undefined) throw new GiveUp(`${this.kind} ended with ${server.ending.status}`);
      // MinIO says that it is ready a moment before it takes signed requests. `fetch` takes no authority of ours.
      return (this.ca !== undefined || (await this.#isHealthy())) && (await answersRequests(this));
    };
    await waitFor(probe, { what: `${this.kind} to answer`, deadlineMs: 30_000 });
  }

  async #isHealthy(): Promise<boolean> {
    return (await fetch(`${this.endpoint}${this.#how.health}`, { signal: AbortSignal.timeout(1_000) })).ok;
  }

  async makeBucket(name: string, options: BucketOptions = {}): Promise<void> {
    await makeBucket(this, name, options);
  }

  async stop(): Promise<void> {
    this.#process?.signal('SIGTERM');
    this.#process?.signal('SIGCONT');
    await waitFor(() => this.#process?.ending, { what: `${this.kind} to end`, deadlineMs: 20_000 });
  }

  pause(): void {
    this.#process?.signal('SIGSTOP');
  }

  resume(): void {
    this.#process?.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.#process?.ending === undefined) await this.#process?.crash('everything');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.removeListener('exit', this.#killNow);
    await this.kill();
    await this.#place[Symbol.asyncDispose]();
  }
}

function externalServer(): S3Server {
  const variable = (name: string): string | undefined => process.env[`WALHOLD_TEST_S3_${name}`];
  const required = (name: string): string => {
    const value = variable(name);
    if (value === undefined) throw new Error(`WALHOLD_TEST_S3_ENDPOINT is set, but not WALHOLD_TEST_S3_${name}`);
    return value;
  };
  const access: S3Access = {
    endpoint: required('ENDPOINT'),
    region: variable('REGION') ?? 'us-east-1',
    accessKey: required('ACCESS_KEY'),
    secretKey: required('SECRET_KEY'),
  };
  const never = (): never => {
    throw new Error('a server that is only named cannot be controlled');
  };
  return {
    ...access,
    kind: 'external',
    makeBucket: async (name, options = {}) => await makeBucket(access, name, options),
    stop: async () => never(),
    start: async () => never(),
    pause: never,
    resume: never,
    kill: async () => never(),
    [Symbol.asyncDispose]: async () => {},
  };
}
