import { relationFile } from '../../postgres/relation-file.ts';
import { parseIso } from '../../postgres/timestamp.ts';
import type { DataFile } from '../../server/walk-data.ts';
import type { Increment } from './find-changes.ts';
import type { PlannedChange } from './plan-units.ts';
import type { IncrementInput } from './thread-protocol.ts';

/** Which files are copied whole, and of which only changed blocks may be. */
export function planFiles(
  files: readonly DataFile[],
  increment: Increment | undefined,
  blockBytes: number,
): { files: DataFile[]; changes: PlannedChange[] } {
  const plan = { files: [] as DataFile[], changes: [] as PlannedChange[] };
  for (const file of files) {
    const change = increment === undefined ? undefined : plannedChange(file, increment, blockBytes);
    if (change === undefined) plan.files.push(file);
    else plan.changes.push(change);
  }
  return plan;
}

/** `undefined`: there is nothing older to build on. */
function plannedChange({ path, bytes }: DataFile, increment: Increment, blockBytes: number): PlannedChange | undefined {
  const relation = typeof path === 'string' ? relationFile(path) : undefined;
  if (typeof path !== 'string' || relation?.fork !== 'main' || !increment.files.has(path)) return undefined;
  if (increment.changes === undefined) return { file: { path, blocks: undefined }, bytes };
  const blocks = increment.changes.of(relation);
  return blocks === 'whole'
    ? undefined
    : { file: { path, blocks }, bytes: Math.min(bytes, blocks.length * blockBytes) };
}

export function incrementInput({ parent }: Increment, pageBytes: number): IncrementInput {
  const began = parseIso(parent.startedAt) ?? 0n;
  return { pageBytes, since: parent.startLsn, parentStartedMs: Number(began / 1000n) };
}
