import type { Store } from '../../src/store/store.ts';
import { withVersions } from '../../src/store/with-versions.ts';
import { VersionedMemoryBucket } from '../support/versioned-memory-store.ts';
import { oldestSuite } from './oldest-suite.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';

const FAR_FUTURE = new Date(8e15);

function inMemory(kind: 's3' | 'gcs', decorate: (store: ReturnType<typeof versionedStore>) => Store): StoreUnderTest {
  const bucket = new VersionedMemoryBucket({ kind });
  bucket.now = Date.now();
  return { store: decorate(versionedStore(bucket)), dispose: () => Promise.resolve() };
}

function versionedStore({ store }: VersionedMemoryBucket): Store & { versions: NonNullable<Store['versions']> } {
  const { versions } = store;
  if (versions === undefined) throw new Error('it keeps versions');
  return { ...store, versions };
}

for (const kind of ['s3', 'gcs'] as const) {
  storeSuite(`versions in memory (${kind})`, () => Promise.resolve(inMemory(kind, (store) => store)));
  storeSuite(`versions in memory (${kind}), the oldest`, () =>
    Promise.resolve(inMemory(kind, (store) => withVersions(store))),
  );
  storeSuite(`versions in memory (${kind}), of a moment`, () =>
    Promise.resolve(inMemory(kind, (store) => withVersions(store, { asOf: FAR_FUTURE }))),
  );
  oldestSuite(
    `versions in memory (${kind})`,
    () => {
      const bucket = new VersionedMemoryBucket({ kind });
      bucket.now = Date.now();
      return Promise.resolve({
        store: versionedStore(bucket),
        overwrite: (key, bytes) => Promise.resolve(bucket.put(key, bytes)),
        hide: (key) => Promise.resolve(void bucket.hide(key)),
        dispose: () => Promise.resolve(),
      });
    },
    { markers: kind === 's3' },
  );
}
