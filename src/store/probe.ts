/**
 * Whether a store keeps its word: there are servers that accept a condition or a checksum and ignore it. Objects made here stay,
 * since nothing here can delete: callers use the same key each time.
 */
import { WalholdError } from '../base/errors.ts';
import type { Body, CallOptions, Store } from './store.ts';

export interface ProbeResult {
  /** Whether a taken name was refused; `ignored`: a second create of the same key won. */
  conditions: 'kept' | 'ignored';
  /** The same for an object that goes in several parts. `untried` unless asked for. */
  conditionsOfStreams: 'kept' | 'ignored' | 'untried';
  /** Whether bytes that do not fit their checksum were refused. `untried` where the store sends none. */
  checksums: 'kept' | 'ignored' | 'untried';
}

export interface ProbeOptions extends CallOptions {
  /** More than one part of the store at hand: that much is sent, and thrown away by a store that keeps its conditions. */
  streamBytes?: number;
}

/** Tries to create `key` again and again, and `key` with `-checksum` appended with a wrong sum. Other failures are thrown. */
export async function probeConditions(store: Store, key: string, options: ProbeOptions): Promise<ProbeResult> {
  const { signal, streamBytes } = options;
  const taken = async (body: Body): Promise<'kept' | 'ignored'> =>
    (await store.create(key, body, { signal })) === 'exists' ? 'kept' : 'ignored';
  const bytes = Buffer.from('walhold asks whether this store keeps its conditions\n');
  await store.create(key, { kind: 'buffer', bytes }, { signal });
  return {
    conditions: await taken({ kind: 'buffer', bytes }),
    conditionsOfStreams:
      streamBytes === undefined ? 'untried' : await taken({ kind: 'stream', chunks: zeros(streamBytes) }),
    checksums:
      store.probe?.createWithWrongChecksum === undefined
        ? 'untried'
        : await refusesWrongSum(store, `${key}-checksum`, bytes, options),
  };
}

async function refusesWrongSum(
  store: Store,
  key: string,
  bytes: Uint8Array,
  options: CallOptions,
): Promise<'kept' | 'ignored'> {
  try {
    await store.probe?.createWithWrongChecksum?.(key, bytes, options);
    // Either it was created now, or at an earlier probe.
    return 'ignored';
  } catch (error) {
    options.signal.throwIfAborted();
    if (await wasRefused(store, key, error, options)) return 'kept';
    throw error;
  }
}

/** A refusal leaves the key free; the code alone would not tell it from a store that is down. */
async function wasRefused(store: Store, key: string, error: unknown, options: CallOptions): Promise<boolean> {
  if (!(error instanceof WalholdError) || error.cause === undefined) return false;
  return (await store.stat(key, options)) === undefined;
}

// eslint-disable-next-line typescript/require-await -- a source that is always ready
async function* zeros(bytes: number): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(Math.min(bytes, 1024 * 1024));
  for (let left = bytes; left > 0; left -= chunk.byteLength) yield chunk.subarray(0, Math.min(left, chunk.byteLength));
}
