import { readFile } from 'node:fs/promises';
import type { Storage } from '@google-cloud/storage';
import { reasonOf, systemCode, WalholdError } from '../base/errors.ts';

/** Who we are to the store. */
export interface GcsAuthorization {
  /** Headers for a request to `url`; a token is kept until shortly before it runs out. */
  headers(url: URL): Promise<Readonly<Record<string, string>>>;
  /** The store did not take what it was given: the next call gets a new token. */
  forget(): void;
}

/** Nobody: for servers that ask for no credentials. */
export const ANONYMOUS: GcsAuthorization = { headers: () => Promise.resolve({}), forget() {} };

export interface GcsCredentialSettings {
  endpoint?: string;
  keyFile?: string;
}

/**
 * Credentials by Google's rules: the key file, else application default credentials. Nothing is asked for where the endpoint is
 * plain HTTP and no key file is set, as with a server of one's own on this host: a token would travel in the clear. Throws `config`
 * for a key file that would.
 */
export function gcsAuthorization({ endpoint, keyFile }: GcsCredentialSettings): GcsAuthorization {
  const url = endpoint === undefined ? undefined : new URL(endpoint);
  if (url?.protocol !== 'http:') return byClient(keyFile);
  if (keyFile === undefined) return ANONYMOUS;
  if (!LOOPBACK.test(url.hostname)) {
    throw new WalholdError('config', 'credentials must not be sent over plain HTTP', {
      detail: `gcs_endpoint is ${endpoint} and gcs_key_file is set`,
      hint: 'Use an https endpoint, or leave gcs_key_file out.',
    });
  }
  return byClient(keyFile);
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** What is used of the client, which takes 100 ms to load: only who needs a token pays for it. */
interface HeaderSource {
  getRequestHeaders(url: string): Promise<Iterable<[string, string]>>;
}

function byClient(keyFile: string | undefined): GcsAuthorization {
  let source: Promise<HeaderSource> | undefined;
  let had = false;
  const load = async (): Promise<HeaderSource> => {
    const key = keyFile === undefined ? undefined : await readKey(keyFile);
    const { Storage } = await import('@google-cloud/storage');
    const { authClient } = new Storage({ projectId: NO_PROJECT });
    if (key !== undefined) {
      authClient.jsonContent = key;
      await silently(() => authClient.getClient());
    }
    return authClient;
  };
  return {
    async headers(url) {
      try {
        source ??= load();
        const headers = Object.fromEntries(await (await source).getRequestHeaders(url.href));
        had = true;
        return headers;
      } catch (error) {
        source = undefined;
        throw credentialsError(error, keyFile, had);
      }
    },
    forget() {
      source = undefined;
    },
  };
}

/** Nothing but an object: in place of a key that is null the library would look for others. */
async function readKey(path: string): Promise<KeyFile> {
  const key: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (typeof key !== 'object' || key === null) throw new SyntaxError('it is no object');
  return key as KeyFile;
}

/** What a key file may hold. */
type KeyFile = Exclude<Storage['authClient']['jsonContent'], null>;

/** Objects belong to buckets; without one the library runs gcloud, or asks elsewhere, to find a project that nobody needs. */
const NO_PROJECT = 'none';

/** For those who write programs, the library warns of key files that strangers wrote, on what is the server's log here. */
function silently<T>(call: () => T): T {
  /* eslint-disable no-console -- not used, but kept from being used */
  const { warn } = console;
  console.warn = () => undefined;
  try {
    return call();
  } finally {
    console.warn = warn;
  }
}

/** A failure that can be told from the store's: a first one without an answer is the configuration's, a later one an outage. */
export function credentialsError(error: unknown, keyFile: string | undefined, had: boolean): WalholdError {
  const status = answeredStatus(error);
  if (status !== undefined) {
    const passing = status >= 500 || status === 429 || status === 408;
    return new WalholdError(passing ? 'unreachable' : 'denied', 'could not get a token for Google Cloud Storage', {
      detail: `${status} ${reasonOf(error)}`,
      cause: error,
      ...(passing ? {} : { hint: 'The credentials are not taken: check that they still exist, and the clock.' }),
    });
  }
  if (had || NETWORK.test(systemCode(error) ?? '')) {
    const detail = reasonOf(error);
    return new WalholdError('unreachable', 'could not get a token for Google Cloud Storage', { detail, cause: error });
  }
  // What a parser says of a file that is no JSON quotes from it; that may be a key, and stays here.
  const told =
    error instanceof SyntaxError
      ? { detail: `${keyFile ?? 'the file of the application default credentials'} is no JSON` }
      : { detail: reasonOf(error).split('\n')[0] ?? '', cause: error };
  return keyFile === undefined
    ? new WalholdError('config', 'there are no credentials for Google Cloud Storage', {
        ...told,
        hint: 'Set gcs_key_file, or GOOGLE_APPLICATION_CREDENTIALS in the environment, or give the host a service account.',
      })
    : new WalholdError('config', `could not use gcs_key_file ${keyFile}`, told);
}

const NETWORK = /^(E(CONN|HOST|NET|ADDR)[A-Z]+|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EPROTO)$/;

/** The status with which a token was refused, from an error of the client's. */
function answeredStatus(error: unknown): number | undefined {
  const response = error instanceof Error ? (error as { response?: { status?: unknown } }).response : undefined;
  return typeof response?.status === 'number' ? response.status : undefined;
}
