/** Whether the seal that readers go by says what is so: every segment of every log that it names is held against the listing. */
import { formatTimeline } from '../postgres/timeline.ts';
import { segmentName, segmentsPerLog } from '../postgres/wal-name.ts';
import { logDirectory } from './layout.ts';
import type { Repository } from './repository.ts';
import type { SealedLogs } from './seal-record.ts';
import { newestSeal, readGivenUp, UsableSeal } from './seal-records.ts';
import { countOf, missingIn } from './segment-runs.ts';
import type { Problem } from './verify-problem.ts';
import type { VerifyScope } from './verify-scope.ts';
import { walOf, type WalInventory } from './wal-inventory.ts';

/** Of a seal that is false in all it says, so many logs are named. */
const MOST_NAMES = 100;

export async function verifySeals(
  repository: Repository,
  inventory: WalInventory,
  { systemId }: { systemId: bigint },
  { signal, clock, report }: VerifyScope,
): Promise<void> {
  const { segmentBytes } = inventory;
  const question = { signal, clock, systemId, segmentBytes };
  const { newest, bad } = await newestSeal(repository, question);
  for (const { key, reason } of bad) report.problem({ code: 'damaged', object: key, message: reason });
  if (newest === undefined) return;
  const seal = new UsableSeal(newest, await readGivenUp(repository, question));
  for (const problem of falseClaims(seal, newest.record.logs, inventory)) report.problem(problem);
}

function* falseClaims(seal: UsableSeal, logs: SealedLogs, inventory: WalInventory): Generator<Problem> {
  const perLog = BigInt(segmentsPerLog(inventory.segmentBytes));
  let named = 0;
  for (const [timeline, each] of logs) {
    const { runs } = walOf(inventory, timeline).segments;
    for (const log of each.keys()) {
      const first = BigInt(log) * perLog;
      const missing = missingIn(runs, first, first + perLog - 1n);
      const [run] = missing;
      if (run === undefined || seal.isGivenUp(timeline, log)) continue;
      if ((named += 1) > MOST_NAMES) return;
      const directory = logDirectory(formatTimeline(timeline), log);
      const name = segmentName(timeline, run.first, inventory.segmentBytes);
      const message = `it says that ${directory} is stored in whole, and ${countOf(missing)} of its segments are not, the first ${name}`;
      yield { code: 'misfit', object: seal.key, message };
    }
  }
}
