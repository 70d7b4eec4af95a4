import { hasCode, WalholdError } from '../base/errors.ts';
import { rangeBounds } from './byte-range.ts';
import type { RetryPolicy } from './retry.ts';
import type {
  ByteRange,
  ListEntry,
  ListOptions,
  ObjectInfo,
  OpenedObject,
  OpeningOptions,
  ReadOptions,
  Store,
  StoreLocks,
  StoreVersions,
  VersionEntry,
} from './store.ts';

/**
 * The one place where a store's calls are repeated. A listing goes on after the last key (a listing of versions: with the last key)
 * delivered, a body at the byte where it broke, if the object still has the same tag. `exists` after a repeat can be our own success whose answer was lost: callers
 * compare contents before they call it a conflict, as they must anyway. A stream is not repeated: stores that send it in parts
 * repeat the parts.
 */
export function withRetry(store: Store, policy: RetryPolicy): Store {
  const name = (key: string): string => `${store.url}/${key}`;
  return {
    url: store.url,
    stat: (key, options) =>
      policy.run(`look at ${name(key)}`, (signal) => store.stat(key, { ...options, signal }), options),
    async open(key, options) {
      const attempt = (signal: AbortSignal): Promise<OpenedObject | undefined> =>
        store.open(key, { ...options, signal });
      const opened = await policy.run(`open ${name(key)}`, attempt, options);
      if (opened === undefined) return undefined;
      return { info: opened.info, chunks: resumed(store, policy, opened, options) };
    },
    list: (prefix, options) => relisted(store, policy, prefix, options),
    create(key, body, options) {
      if (body.kind === 'stream') return store.create(key, body, options);
      return policy.run(`store ${name(key)}`, (signal) => store.create(key, body, { ...options, signal }), options);
    },
    close: () => store.close(),
    ...retriedParts(store, policy),
  };
}

/** What not every store has. A probe is not repeated: it wants to see each answer. */
function retriedParts(store: Store, policy: RetryPolicy): Partial<Store> {
  const { versions, locks, candidates, clockSkewMs, probe } = store;
  return {
    ...(versions === undefined ? {} : { versions: retriedVersions(store.url, versions, policy) }),
    ...(locks === undefined ? {} : { locks: retriedLocks(store.url, locks, policy) }),
    ...(candidates === undefined
      ? {}
      : {
          candidates: (key, options) =>
            policy.run(`look at ${store.url}/${key}`, (signal) => candidates(key, { ...options, signal }), options),
        }),
    ...(clockSkewMs === undefined ? {} : { clockSkewMs }),
    ...(probe === undefined ? {} : { probe }),
  };
}

/** Each of them can be sent again: to lengthen or hold twice is to do it once. */
function retriedLocks(url: string, locks: StoreLocks, policy: RetryPolicy): StoreLocks {
  return {
    look: (key, options) =>
      policy.run(`look at the lock of ${url}/${key}`, (signal) => locks.look(key, { ...options, signal }), options),
    retain: (key, retention, options) =>
      policy.run(`lock ${url}/${key}`, (signal) => locks.retain(key, retention, { ...options, signal }), options),
    hold: (key, on, options) =>
      policy.run(
        `set the legal hold of ${url}/${key}`,
        (signal) => locks.hold(key, on, { ...options, signal }),
        options,
      ),
    ...(locks.mend === undefined ? {} : { mend: locks.mend.bind(locks) }),
    bucket: (options) =>
      policy.run(`ask how ${url} protects its objects`, (signal) => locks.bucket({ ...options, signal }), options),
  };
}

function retriedVersions(url: string, versions: StoreVersions, policy: RetryPolicy): StoreVersions {
  return { list: (prefix, options) => relistedVersions(url, versions, policy, prefix, options) };
}

/** A listing can break between two versions of one key: that key is listed again, and what was delivered of it is left out. */
async function* relistedVersions(
  url: string,
  versions: StoreVersions,
  policy: RetryPolicy,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<VersionEntry> {
  const series = policy.series(`list the versions of ${url}/${prefix}`, options);
  let rest = options;
  let name: string | undefined;
  const delivered = new Set<string>();
  for (;;) {
    try {
      for await (const entry of versions.list(prefix, rest)) {
        series.worked();
        const entryName = entry.kind === 'directory' ? entry.prefix : entry.key;
        if (entryName !== name) {
          if (name !== undefined) rest = { ...rest, after: name };
          name = entryName;
          delivered.clear();
        }
        const version = entry.kind === 'directory' ? '' : entry.version;
        if (delivered.has(version)) continue;
        delivered.add(version);
        yield entry;
      }
      return;
    } catch (error) {
      await series.failed(error);
    }
  }
}

async function* relisted(
  store: Store,
  policy: RetryPolicy,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<ListEntry> {
  const series = policy.series(`list ${store.url}/${prefix}`, options);
  let rest = options;
  for (;;) {
    try {
      for await (const entry of store.list(prefix, rest)) {
        series.worked();
        rest = { ...rest, after: entry.kind === 'object' ? entry.key : entry.prefix };
        yield entry;
      }
      return;
    } catch (error) {
      await series.failed(error);
    }
  }
}

async function* resumed(
  store: Store,
  policy: RetryPolicy,
  first: OpenedObject,
  options: OpeningOptions,
): AsyncGenerator<Uint8Array> {
  const { info } = first;
  // What has come already may lie in the room.
  const { room: _, ...rest } = options;
  const what = `read ${store.url}/${info.key}`;
  const series = policy.series(what, options);
  const { from, to } = rangeBounds(info.bytes, options.range);
  let opened = first;
  for (let at = from; ;) {
    try {
      for await (const chunk of opened.chunks) {
        series.worked();
        at += chunk.byteLength;
        yield chunk;
      }
      return;
    } catch (error) {
      if (at === to && hasCode(error, 'unreachable')) return;
      await series.failed(error);
    }
    const range = { offset: at, bytes: to - at };
    const again = await policy.run(what, (signal) => reopen(store, info, { ...rest, signal, range }), options);
    if (again?.info.tag !== info.tag) {
      throw new WalholdError('damaged', `${store.url}/${info.key} changed while it was read`);
    }
    opened = again;
  }
}

/** The very version that was being read, whatever has covered it since, as far as these credentials may name versions. */
async function reopen(
  store: Store,
  { key, version }: ObjectInfo,
  options: ReadOptions & { range: ByteRange },
): Promise<OpenedObject | undefined> {
  if (version === undefined || options.version !== undefined) return store.open(key, options);
  try {
    return await store.open(key, { ...options, version });
  } catch (error) {
    if (!hasCode(error, 'denied')) throw error;
    return store.open(key, options);
  }
}
