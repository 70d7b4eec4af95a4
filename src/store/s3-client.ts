import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { S3Settings } from './open-store.ts';

export type S3Credentials = ReturnType<typeof fromNodeProviderChain>;

export interface S3ClientSettings extends Omit<S3Settings, 'scheme' | 'prefix'> {
  requestTimeoutMs: number;
  /** In place of the SDK's chain. */
  credentials?: S3Credentials;
}

/** One attempt per request, since only `withRetry` repeats; connections are kept. Throws `config` when no region or CA can be had. */
export async function s3Client(settings: S3ClientSettings): Promise<S3Client> {
  const region = await regionOf(settings);
  return new S3Client({ ...(await fixedConfig(settings)), region });
}

async function fixedConfig(settings: S3ClientSettings): Promise<S3ClientConfig> {
  const { endpoint, pathStyle, profile, requestTimeoutMs } = settings;
  // A WAL file goes to the same place as the one before: connections idle less than servers keep them.
  const agent = { keepAlive: true, keepAliveMsecs: 10_000, maxSockets: 64 };
  const ca = settings.caFile === undefined ? {} : { ca: await certificates(settings.caFile) };
  return {
    maxAttempts: 1,
    credentials: credentialsOf(settings),
    logger: QUIET,
    // Both sums are made and compared here; with the SDK's own, a range would be read twice to check what it cannot know.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // A second connection and a round trip for each object of more than 2 MiB, to save the bytes of a push that is a repetition.
    expectContinueHeader: false,
    requestHandler: {
      // Agents of our own: the SDK keeps no connection alive otherwise where it asks before it sends.
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({ ...agent, ...ca }),
      connectionTimeout: Math.min(requestTimeoutMs, 10_000),
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(pathStyle === undefined ? {} : { forcePathStyle: pathStyle }),
    ...(profile === undefined ? {} : { profile }),
  };
}

/** The setting, else what the SDK finds, else, since other stores than Amazon's hardly care, `us-east-1`. */
async function regionOf({ region, profile, endpoint }: S3ClientSettings): Promise<string> {
  if (region !== undefined) return region;
  const probe = new S3Client({ logger: QUIET, ...(profile === undefined ? {} : { profile }) });
  try {
    return await probe.config.region();
  } catch (error) {
    if (endpoint !== undefined) return 'us-east-1';
    throw new WalholdError('config', 'the region of the S3 bucket is not known', {
      hint: 'Set s3_region, or AWS_REGION in the environment of the server.',
      detail: reasonOf(error),
      cause: error,
    });
  } finally {
    probe.destroy();
  }
}

/** The chain, with a failure that can be told from a store's: a first one is the configuration's, a later one an outage. */
function credentialsOf(settings: S3ClientSettings): S3Credentials {
  const { profile } = settings;
  const chain =
    settings.credentials ?? fromNodeProviderChain({ logger: QUIET, ...(profile === undefined ? {} : { profile }) });
  let had = false;
  return async (properties) => {
    try {
      const credentials = await chain(properties);
      had = true;
      return credentials;
    } catch (error) {
      const detail = reasonOf(error);
      if (had || !isMissing(error)) {
        throw new WalholdError('unreachable', 'could not get credentials for S3', { detail, cause: error });
      }
      throw new WalholdError('config', 'there are no credentials for S3', {
        detail,
        cause: error,
        hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile (s3_profile), or give the host a role.',
      });
    }
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && error.name === 'CredentialsProviderError';
}

async function certificates(path: string): Promise<string> {
  try {
    const pem = await readFile(path, 'latin1');
    const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
    if (found === null) throw new Error('it holds no certificate in PEM form');
    // TLS would pass over one that cannot be read, and fail at the first connection for another reason.
    return found.map((certificate) => new X509Certificate(certificate).toString()).join('');
  } catch (error) {
    throw new WalholdError('config', `could not use s3_ca_file ${path}`, { detail: reasonOf(error), cause: error });
  }
}

const QUIET = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };
