import { randomBytes } from 'node:crypto';
import { describe } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { retryPolicy, type RetryPolicy } from '../../src/store/retry.ts';
import { s3Store } from '../../src/store/s3.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { s3ServerKinds, startS3Server, type S3Server, type S3ServerKind } from '../support/s3-server.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';

const MIB = 1024 * 1024;
/** The condition is looked at before the body arrives, so racing writers can all pass. */
const RACY: Partial<Record<S3ServerKind, string>> = { versitygw: 'versitygw decides before it has the body' };

const policyOf = (tries?: number): RetryPolicy =>
  retryPolicy({
    clock: systemClock,
    random: Math.random,
    requestTimeoutMs: 20_000,
    ...(tries === undefined ? {} : { tries }),
  });

/** A suite on a server of its own, each test in a prefix of its own. */
function suiteOn(kind: S3ServerKind, title: string, policy: RetryPolicy, decorate: (store: Store) => Store): void {
  let server: S3Server | undefined;
  const makeStore = async (): Promise<StoreUnderTest> => {
    if (server === undefined) throw new Error('the server was not started');
    const { endpoint, region, accessKey, secretKey } = server;
    const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
    const store = await s3Store({
      bucket: 'contract',
      prefix: `deep/${randomBytes(8).toString('hex')}`,
      endpoint,
      region,
      pathStyle: true,
      policy,
      partBytes: 5 * MIB,
      credentials: () => Promise.resolve(credentials),
    });
    return { store: decorate(store), dispose: () => store.close() };
  };
  storeSuite(title, makeStore, {
    severalPartsBytes: 12 * MIB + 1,
    ...(RACY[kind] === undefined ? {} : { racy: RACY[kind] }),
    start: async () => {
      server = await startS3Server(kind);
      await server.makeBucket('contract');
    },
    stop: async () => server?.[Symbol.asyncDispose](),
  });
}

const kinds = s3ServerKinds();
describe.skipIf(kinds.length === 0)('S3 over real servers', () => {
  for (const kind of kinds) {
    suiteOn(kind, kind, policyOf(1), (store) => store);
    suiteOn(kind, `${kind}, through retry`, policyOf(), (store) => withRetry(store, policyOf()));
  }
});
