import { formatBytes } from '../format-bytes.ts';
import type { Amount } from './amount.ts';
import type { OpenedChain } from './open-chain.ts';
import type { Survey } from './survey-target.ts';

/** What is kept, written and removed by `--delta`. */
export interface DeltaCounts {
  kept: Amount;
  written: Amount;
  removed: Amount;
}

/** `undefined`: into an empty directory. Of a chain, before it is restored, the least that is kept, and the most that is written. */
export function deltaCounts({ selection }: OpenedChain, survey: Survey | undefined): DeltaCounts | undefined {
  if (survey === undefined || selection === undefined) return undefined;
  const kept = { files: selection.kept.length, bytes: selection.kept.reduce((sum, { size }) => sum + size, 0) };
  return { kept, written: selection.written, removed: survey.removed };
}

/** What the JSON of a restore says beside its plan, when it is done. `movedBytes`: read from repositories, WAL not counted. */
export function doneJson({ storedBytes, counts }: { storedBytes: number; counts: DeltaCounts | undefined }): object {
  return { movedBytes: storedBytes, ...(counts === undefined ? {} : { delta: counts }) };
}

/** One line each, for people. `verb`: `would be` or `were`. */
export function deltaLines(counts: DeltaCounts | undefined, verb: string): string[] {
  if (counts === undefined) return ['nothing lies there: everything is written'];
  const line = (what: string, { files, bytes }: Amount): string =>
    `${files} files (${formatBytes(bytes)}) ${verb} ${what}`;
  return [line('kept', counts.kept), line('written', counts.written), line('removed', counts.removed)];
}
