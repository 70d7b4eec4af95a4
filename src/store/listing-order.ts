import type { ListOptions } from './store.ts';

/** An entry of a listing, of objects or of versions. */
export type Named = { kind: 'directory'; prefix: string } | { kind: 'object' | 'version' | 'marker'; key: string };

/** What an entry sorts by. */
export function nameOfEntry(entry: Named): string {
  return entry.kind === 'directory' ? entry.prefix : entry.key;
}

/**
 * Where folding may hide the directory that `after` lies in (servers differ), the listing starts before that directory, and what
 * is too early is dropped here.
 */
export function startAfter(prefix: string, { after, delimited }: ListOptions): string | undefined {
  if (after === undefined || delimited !== true || !after.startsWith(prefix)) return after;
  const slash = after.indexOf('/', prefix.length);
  return slash < 0 ? after : after.slice(0, slash);
}

/** Whether a listing that starts after `after` shows this entry. */
export function sortsAfter(entry: Named, after: string | undefined): boolean {
  const name = nameOfEntry(entry);
  return (
    after === undefined || name > after || (entry.kind === 'directory' && after !== name && after.startsWith(name))
  );
}
