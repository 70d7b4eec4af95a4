import { parseWalName } from '../postgres/wal-name.ts';

/** Where a file stands that the archiver waits for. `with a call`: a call is storing it. */
export type FileStage = 'under way' | 'answered' | 'failed' | 'with a call';

/** In the archiver's order (ready_file_comparator, postmaster/pgarch.c): history files first, then by name. What is no WAL file is left out. */
export function archiverOrder(names: readonly string[]): string[] {
  const files = names.map((name) => parseWalName(name)).filter((file) => file !== undefined);
  const rank = ({ kind, name }: { kind: string; name: string }): string => (kind === 'history' ? '0' : '1') + name;
  return files.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).map(({ name }) => name);
}

/**
 * What to take up next. While something has failed, only the first of those, once it `mayRetry`: whatever is behind it the archiver
 * does not ask for before that is stored.
 */
export function nextFiles(
  ready: readonly string[],
  stages: ReadonlyMap<string, FileStage>,
  { mayRetry, room }: { mayRetry: boolean; room: number },
): string[] {
  const failed = ready.find((name) => stages.get(name) === 'failed');
  if (failed !== undefined) return mayRetry && room > 0 ? [failed] : [];
  return ready.filter((name) => !stages.has(name)).slice(0, Math.max(0, room));
}
