import type { DataDirectory, DataFile, DataPath } from '../../server/walk-data.ts';
import type { CopyUnit } from './thread-protocol.ts';

/** Smaller files share a frame with their neighbours. */
const SMALL_BYTES = 512 * 1024;
/** Which ends when it has reached this, headers counted. */
const RUN_BYTES = 1024 * 1024;
const HEADER_BYTES = 1024;
const DIRECTORIES = 1000;

/**
 * In which order the threads copy: the largest files first, each alone, so that none is left at the end when the others have
 * nothing to do; then the small ones in runs of neighbours.
 */
export function planUnits(data: Pick<DataDirectory, 'files' | 'directories'>): CopyUnit[] {
  const large = data.files.filter(({ bytes }) => bytes > SMALL_BYTES).sort((a, b) => b.bytes - a.bytes);
  const units: CopyUnit[] = large.map(({ path }) => ({ kind: 'files', paths: [path] }));
  const small = data.files.filter(({ bytes }) => bytes <= SMALL_BYTES);
  for (const paths of runs(small)) units.push({ kind: 'files', paths });
  for (let at = 0; at < data.directories.length; at += DIRECTORIES) {
    units.push({ kind: 'directories', paths: data.directories.slice(at, at + DIRECTORIES) });
  }
  return units;
}

function* runs(files: readonly DataFile[]): Generator<DataPath[]> {
  let run: DataPath[] = [];
  let runBytes = 0;
  for (const { path, bytes } of files) {
    if (run.length > 0 && runBytes + bytes > RUN_BYTES) {
      yield run;
      run = [];
      runBytes = 0;
    }
    run.push(path);
    runBytes += bytes + HEADER_BYTES;
  }
  if (run.length > 0) yield run;
}
