/** A whole repository, in the order names, backups, WAL. What one object is wrong with does not end it; a store that is gone does. */
import { hasCode } from '../base/errors.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { historyName } from '../postgres/wal-name.ts';
import type { BackupRecord } from './backup-record.ts';
import { requireIdentity } from './identity.ts';
import {
  BACKUP_PREFIX,
  DRILL_PREFIX,
  EXPIRED_PREFIX,
  IDENTITY_KEY,
  LOCK_PREFIX,
  parseBackupId,
  PROBE_KEY,
  SEAL_PREFIX,
  WAL_PREFIX,
  walKey,
  type BackupId,
} from './layout.ts';
import { gapsOf } from './coverage.ts';
import { pointOf } from './overview.ts';
import { readWalInventory, type ReadInventory } from './read-wal-inventory.ts';
import type { Repository } from './repository.ts';
import { expiredIn } from './retention/expired-records.ts';
import { storedSegmentSize } from './stored-segment-size.ts';
import { describeTrace, tracesOf } from './traces.ts';
import { verifyBackup } from './verify-backup.ts';
import { brokenChains, verifyLink } from './verify-chain.ts';
import { contradictoryHistories, missingHistories, missingSegments } from './verify-names.ts';
import { concernsOneObject, problemOf, type Problem } from './verify-problem.ts';
import type { VerifyScope } from './verify-scope.ts';
import { verifySeals } from './verify-seals.ts';
import { verifyWal } from './verify-wal.ts';

/** Everything found is in the scope's report. Throws only mistakes of the program and interruptions. */
export async function verifyRepository(repository: Repository, scope: VerifyScope): Promise<void> {
  const { signal, report } = scope;
  let isKnown = false;
  try {
    const { systemId } = await requireIdentity(repository.store, { signal });
    isKnown = true;
    await verifyAll(repository, systemId, scope);
  } catch (error) {
    signal.throwIfAborted();
    const ofIdentity = hasCode(error, 'store-gone', 'identity') || (!isKnown && concernsOneObject(error));
    report.problem(problemOf(error, ofIdentity ? IDENTITY_KEY : repository.url));
  }
  for (const trace of tracesOf(repository)) {
    const code = trace.kind === 'delete-marker' || trace.kind === 'hidden' ? 'delete-marker' : 'extra-version';
    report.problem({ code, object: trace.object, message: describeTrace(trace) });
  }
}

async function verifyAll(repository: Repository, systemId: bigint, scope: VerifyScope): Promise<void> {
  const { signal, report, slice } = scope;
  scope.onPhase?.('checking backups');
  const ids = await listTop(repository, scope);
  const summaries: Omit<BackupRecord, 'parts'>[] = [];
  // One after the other: each one's list of files can be long, and its parts are read in parallel.
  for (const id of ids) {
    const record = await verifyBackup(repository, id, { systemId }, scope);
    if (record === undefined) continue;
    await verifyLink(repository, record, scope);
    const { parts: _, ...summary } = record;
    summaries.push(summary);
  }
  for (const problem of brokenChains(summaries, ids)) report.problem(problem);
  const backups = summaries.map((summary) => ({ summary }));
  const segmentBytes = await storedSegmentSize([repository], backups, { signal });
  if (segmentBytes === undefined) return;
  scope.onPhase?.('looking for WAL');
  const inventory = await readWalInventory([repository], { signal, segmentBytes, systemId });
  for (const key of inventory.strange) report.warning(`${key} is no object of this format`);
  const damaged = damagedHistories(inventory);
  for (const problem of damaged.values()) report.problem(problem);
  const points = summaries.map(pointOf);
  const expired = await expiredIn([repository], gapsOf(inventory), { signal, systemId });
  const structure = [
    ...missingSegments(points, inventory, expired),
    ...missingHistories(inventory, new Set(damaged.keys())),
    ...contradictoryHistories(inventory),
  ];
  for (const problem of structure) report.problem(problem);
  await verifySeals(repository, inventory, { systemId }, scope);
  const told = new Set([...damaged.values()].map(({ object }) => object));
  const major = summaries[0]?.server.major;
  if (slice === undefined) return;
  scope.onPhase?.('reading WAL', Math.round(segmentsSize(inventory) / slice.of));
  await verifyWal(repository, { systemId, major, inventory, told }, scope);
}

/** Compressed bytes. */
function segmentsSize({ timelines }: ReadInventory): number {
  let bytes = 0;
  for (const { segments } of timelines.values()) segments.each((_, __, stored) => (bytes += stored));
  return bytes;
}

function damagedHistories({ damagedHistories: damaged }: ReadInventory): Map<TimelineId, Problem> {
  return new Map(
    damaged.map(({ timeline, error }) => {
      const key = walKey({ kind: 'history', name: historyName(timeline), timeline });
      return [timeline, problemOf(error, key)];
    }),
  );
}

/** The backups' identifiers, and a warning for all that this format does not put there. */
async function listTop({ store }: Repository, { signal, report }: VerifyScope): Promise<BackupId[]> {
  const known = new Set([
    IDENTITY_KEY,
    WAL_PREFIX,
    BACKUP_PREFIX,
    LOCK_PREFIX,
    DRILL_PREFIX,
    EXPIRED_PREFIX,
    SEAL_PREFIX,
  ]);
  for await (const entry of store.list('', { signal, delimited: true })) {
    const key = entry.kind === 'object' ? entry.key : entry.prefix;
    if (!known.has(key) && !key.startsWith(PROBE_KEY)) report.warning(`${key} is no object of this format`);
  }
  const ids: BackupId[] = [];
  for await (const entry of store.list(BACKUP_PREFIX, { signal, delimited: true })) {
    const id = entry.kind === 'directory' ? parseBackupId(entry.prefix.slice(BACKUP_PREFIX.length, -1)) : undefined;
    if (id !== undefined) ids.push(id);
    else report.warning(`${entry.kind === 'object' ? entry.key : entry.prefix} is no object of this format`);
  }
  return ids;
}
