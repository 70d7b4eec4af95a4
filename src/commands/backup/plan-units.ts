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

/** About how many bytes must be read for it. */
export interface SizedUnit {
  unit: CopyUnit;
  bytes: number;
}

export interface CopyPlan extends Pick<DataDirectory, 'files' | 'directories'> {
  changes?: readonly PlannedChange[];
}

/**
 * In which order the threads copy: the largest files first, each alone, so that none is left at the end when the others have
 * nothing to do; then the small ones in runs of neighbours.
 */
export function planUnits({ files, directories, changes = [] }: CopyPlan): SizedUnit[] {
  const units: SizedUnit[] = [
    ...files.filter(isLarge).map((file) => whole([file])),
    ...changes.filter(isLarge).map((change) => changed([change])),
  ];
  units.sort((a, b) => b.bytes - a.bytes);
  for (const run of runs(files.filter((file) => !isLarge(file)))) units.push(whole(run));
  for (const run of runs(changes.filter((change) => !isLarge(change)))) units.push(changed(run));
  for (let at = 0; at < directories.length; at += DIRECTORIES) {
    units.push({ unit: { kind: 'directories', paths: directories.slice(at, at + DIRECTORIES) }, bytes: 0 });
  }
  return units;
}

function isLarge({ bytes }: { bytes: number }): boolean {
  return bytes > SMALL_BYTES;
}

function whole(files: readonly DataFile[]): SizedUnit {
  return { unit: { kind: 'files', paths: files.map(({ path }) => path) }, bytes: bytesOf(files) };
}

function changed(changes: readonly PlannedChange[]): SizedUnit {
  return { unit: { kind: 'changes', files: changes.map(({ file }) => file) }, bytes: bytesOf(changes) };
}

function bytesOf(all: readonly { bytes: number }[]): number {
  return all.reduce((sum, { bytes }) => sum + bytes, 0);
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
