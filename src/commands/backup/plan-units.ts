import type { DataDirectory, DataFile } from '../../server/walk-data.ts';
import type { ChangedFile, CopyUnit } from './thread-protocol.ts';

/** Smaller files share a frame with their neighbours. */
const SMALL_BYTES = 512 * 1024;
/** Which ends when it has reached this, headers counted. */
const RUN_BYTES = 1024 * 1024;
const HEADER_BYTES = 1024;
const DIRECTORIES = 1000;

/** A changed file, and about how many bytes must be read of it. */
export interface PlannedChange {
  file: ChangedFile;
  bytes: number;
}

export interface CopyPlan extends Pick<DataDirectory, 'files' | 'directories'> {
  changes?: readonly PlannedChange[];
}

/**
 * In which order the threads copy: the largest files first, each alone, so that none is left at the end when the others have
 * nothing to do; then the small ones in runs of neighbours.
 */
export function planUnits({ files, directories, changes = [] }: CopyPlan): CopyUnit[] {
  const large: Sized[] = [
    ...files.filter(isLarge).map(({ path, bytes }) => ({ bytes, unit: whole([{ path, bytes }]) })),
    ...changes.filter(isLarge).map((one) => ({ bytes: one.bytes, unit: changed([one]) })),
  ];
  const units = large.sort((a, b) => b.bytes - a.bytes).map(({ unit }) => unit);
  for (const run of runs(files.filter((file) => !isLarge(file)))) units.push(whole(run));
  for (const run of runs(changes.filter((change) => !isLarge(change)))) units.push(changed(run));
  for (let at = 0; at < directories.length; at += DIRECTORIES) {
    units.push({ kind: 'directories', paths: directories.slice(at, at + DIRECTORIES) });
  }
  return units;
}

interface Sized {
  bytes: number;
  unit: CopyUnit;
}

function isLarge({ bytes }: { bytes: number }): boolean {
  return bytes > SMALL_BYTES;
}

function whole(files: readonly DataFile[]): CopyUnit {
  return { kind: 'files', paths: files.map(({ path }) => path) };
}

function changed(changes: readonly PlannedChange[]): CopyUnit {
  return { kind: 'changes', files: changes.map(({ file }) => file) };
}

function* runs<T extends { bytes: number }>(files: readonly T[]): Generator<T[]> {
  let run: T[] = [];
  let runBytes = 0;
  for (const file of files) {
    if (run.length > 0 && runBytes + file.bytes > RUN_BYTES) {
      yield run;
      run = [];
      runBytes = 0;
    }
    run.push(file);
    runBytes += file.bytes + HEADER_BYTES;
  }
  if (run.length > 0) yield run;
}
