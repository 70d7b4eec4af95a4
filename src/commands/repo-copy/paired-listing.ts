import type { CallOptions, ListEntry, ObjectInfo, Store } from '../../store/store.ts';

export interface PairedEntry {
  info: ObjectInfo;
  /** What the target has under the same key. */
  there: ObjectInfo | undefined;
}

/**
 * The source's objects below a prefix, each with the target's of the same key: both listings are read side by side, so neither
 * has to fit into memory. What only the target has is passed over.
 */
export async function* pairedListing(
  source: Store,
  target: Store,
  prefix: string,
  options: CallOptions & { delimited?: boolean },
): AsyncGenerator<PairedEntry> {
  const others = target.list(prefix, options)[Symbol.asyncIterator]();
  try {
    let other = await nextObject(others);
    for await (const entry of source.list(prefix, options)) {
      if (entry.kind === 'directory') continue;
      const { kind: _, ...info } = entry;
      while (other !== undefined && other.key < info.key) other = await nextObject(others);
      yield { info, there: other?.key === info.key ? other : undefined };
    }
  } finally {
    await others.return?.();
  }
}

async function nextObject(entries: AsyncIterator<ListEntry>): Promise<ObjectInfo | undefined> {
  for (;;) {
    const next = await entries.next();
    if (next.done === true) return undefined;
    if (next.value.kind === 'object') return next.value;
  }
}
