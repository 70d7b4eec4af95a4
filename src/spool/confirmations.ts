import type { Spool } from './spool.ts';

const NAME = 'confirmed';

/**
 * Which repositories took a file that others did not take yet. A hint for the next try: it looks there before it sends all of the
 * file again. One note suffices, since PostgreSQL offers the same file until it is stored.
 */
export async function readConfirmations(spool: Spool, name: string, sha256: string): Promise<ReadonlySet<string>> {
  const note = await spool.read(NAME);
  const places = note?.['places'];
  if (note?.['name'] !== name || note['sha256'] !== sha256 || !Array.isArray(places)) return new Set();
  return new Set(places.filter((place): place is string => typeof place === 'string'));
}

export async function noteConfirmations(
  spool: Spool,
  name: string,
  sha256: string,
  places: readonly string[],
): Promise<void> {
  await spool.write(NAME, { name, sha256, places });
}

export async function clearConfirmations(spool: Spool): Promise<void> {
  await spool.remove(NAME);
}
