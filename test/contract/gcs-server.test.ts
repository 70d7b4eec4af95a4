import { randomBytes } from 'node:crypto';
import { describe } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { gcsStore } from '../../src/store/gcs.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { hasGcsServer, startGcsServer, type GcsServer } from '../support/gcs-server.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';

const MIB = 1024 * 1024;
const pace = { clock: systemClock, random: Math.random, requestTimeoutMs: 30_000 };

/** A suite on a server of its own, each test in a bucket of its own. */
function suiteOn(title: string, versioning: boolean, decorate: (store: Store) => Store): void {
  let server: GcsServer | undefined;
  const makeStore = async (): Promise<StoreUnderTest> => {
    if (server === undefined) throw new Error('the server was not started');
    const bucket = `contract-${randomBytes(8).toString('hex')}`;
    await server.makeBucket(bucket, { versioning });
    const policy = retryPolicy({ ...pace, tries: 1 });
    const store = gcsStore({ bucket, prefix: 'some/prefix', endpoint: server.endpoint, policy, chunkBytes: MIB });
    return { store: decorate(store), dispose: () => store.close() };
  };
  storeSuite(title, makeStore, {
    severalPartsBytes: 3 * MIB + 1,
    start: async () => {
      server = await startGcsServer();
    },
    stop: async () => server?.[Symbol.asyncDispose](),
  });
}

describe.skipIf(!hasGcsServer())('GCS as another server speaks it', () => {
  suiteOn('fake-gcs-server', false, (store) => store);
  suiteOn('fake-gcs-server, a bucket that keeps versions, through retry', true, (store) =>
    withRetry(store, retryPolicy(pace)),
  );
});
