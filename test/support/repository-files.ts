import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const SEGMENT = /^([0-9A-F]{24})\.zst$/;

/** The names of all segments that a repository of files holds, in order; looked for without walhold's code. */
export async function filedSegments(repository: string, timeline = ''): Promise<string[]> {
  const names = (await filedWal(repository)).flatMap((name) => SEGMENT.exec(name)?.[1] ?? []);
  return names.filter((name) => name.startsWith(timeline));
}

/** The base names of everything below `wal/`, in order. */
export async function filedWal(repository: string): Promise<string[]> {
  const entries = await readdir(join(repository, 'wal'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .toSorted();
}

/** Where a segment lies. */
export function segmentPath(repository: string, name: string): string {
  return join(repository, 'wal', name.slice(0, 8), name.slice(0, 16), `${name}.zst`);
}

/** Where the WAL of that segment ends, in bytes since the cluster was made. */
export function segmentEnd(name: string, segmentMb: number): bigint {
  const start =
    (BigInt(`0x${name.slice(8, 16)}`) << 32n) + BigInt(`0x${name.slice(16, 24)}`) * BigInt(segmentMb * 1048576);
  return start + BigInt(segmentMb * 1048576);
}
