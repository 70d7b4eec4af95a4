import type { Log } from '../../base/log.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Problem } from '../../repository/verify-problem.ts';

/** What all steps of one copy share. */
export interface CopyRun {
  source: Repository;
  target: Repository;
  /** Of the cluster that both belong to. */
  systemId: bigint;
  jobs: number;
  /** Takes names and sizes of what the target has for granted. */
  quick: boolean;
  /** Only looks; the report then counts what would be copied. */
  dryRun: boolean;
  report: CopyReport;
  log: Log;
  signal: AbortSignal;
}

/** What came of it so far. */
export class CopyReport {
  copied = 0;
  present = 0;
  /** As stored, of what was copied. */
  bytes = 0;
  /** Names that the target has taken for something else: never touched. */
  readonly conflicts: Problem[] = [];
  /** Objects of the source that cannot be trusted: never copied. */
  readonly damaged: Problem[] = [];

  add(outcome: 'copied' | 'present', bytes: number): void {
    this[outcome] += 1;
    if (outcome === 'copied') this.bytes += bytes;
  }
}
