/** Proof by looking that WAL is stored: what a backup needs before it may call itself one. */
import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { parseWalName, segmentName, segnoBefore, segnoOfLsn } from '../postgres/wal-name.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { logPrefix, parseWalKey, walKey } from './layout.ts';

/** The names of all segments that recovery between these positions reads, in order. `stop` itself is the first byte not needed. */
export function segmentsBetween(timeline: TimelineId, start: Lsn, stop: Lsn, segmentBytes: number): string[] {
  const first = segnoOfLsn(start, segmentBytes);
  const last = segnoBefore(stop, segmentBytes);
  const names: string[] = [];
  for (let segno = first; segno <= last || segno === first; segno++)
    names.push(segmentName(timeline, segno, segmentBytes));
  return names;
}

/** A few names are asked for one by one; more are cheaper by listing. */
const ASK_SINGLY = 4;

/** Those of `names` (segments, in order) that the repository does not hold. Throws what the store says. */
export async function missingSegments(
  store: Store,
  names: readonly string[],
  { signal }: CallOptions,
): Promise<string[]> {
  const missing: string[] = [];
  for (const [prefix, group] of Map.groupBy(names, logPrefix)) {
    const stored =
      group.length <= ASK_SINGLY
        ? await askedFor(store, group, { signal })
        : await listed(store, prefix, group, { signal });
    missing.push(...group.filter((name) => !stored.has(name)));
  }
  return missing;
}

async function askedFor(store: Store, names: readonly string[], options: CallOptions): Promise<Set<string>> {
  const found = new Set<string>();
  for (const name of names) if ((await store.stat(keyOf(name), options)) !== undefined) found.add(name);
  return found;
}

async function listed(
  store: Store,
  prefix: string,
  names: readonly string[],
  { signal }: CallOptions,
): Promise<Set<string>> {
  const found = new Set<string>();
  const last = names.at(-1) ?? '';
  // The name without `.zst` sorts right before the object.
  for await (const entry of store.list(prefix, { signal, after: `${prefix}${names[0] ?? ''}` })) {
    const file = entry.kind === 'object' ? parseWalKey(entry.key)?.file : undefined;
    if (file === undefined) continue;
    if (file.name > last && file.kind === 'segment') break;
    if (file.kind === 'segment') found.add(file.name);
  }
  return found;
}

function keyOf(name: string): string {
  const file = parseWalName(name);
  if (file?.kind !== 'segment') throw new RangeError(`${name} is no segment`);
  return walKey(file);
}
