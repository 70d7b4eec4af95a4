/** The contents of every WAL file of one repository: each by itself, and each segment after the one before it. */
import { forEachParallel } from '../base/parallel.ts';
import { lineage } from '../postgres/timeline-history.ts';
import { formatTimeline, type TimelineId } from '../postgres/timeline.ts';
import { magicOf } from '../postgres/wal-header.ts';
import { historyName, segmentNumber, segnoOfLsn } from '../postgres/wal-name.ts';
import { WAL_PREFIX, parseWalKey, walKey, type WalObject } from './layout.ts';
import type { Repository } from './repository.ts';
import { SegmentJoins } from './verify-joins.ts';
import { readHere } from './verify-reader.ts';
import { inSlice, type VerifyReport, type VerifyScope } from './verify-scope.ts';
import type { WalReading } from './verify-wal-object.ts';
import { highestStored, walOf, type WalInventory } from './wal-inventory.ts';

export interface WalExpectation {
  systemId: bigint;
  /** Of the server, where a backup tells it. */
  major: number | undefined;
  inventory: WalInventory;
  /** Keys that were found wrong before, and told of. */
  told: ReadonlySet<string>;
}

/** Listed as it goes, so a year of WAL costs no memory. Throws what the store says when it does not answer. */
export async function verifyWal(repository: Repository, expected: WalExpectation, scope: VerifyScope): Promise<void> {
  const reader = scope.reader ?? readHere(scope);
  const { systemId, inventory } = expected;
  const { segmentBytes } = inventory;
  const judge = new WalJudge(scope.report, expected);
  await forEachParallel(wanted(repository, expected, scope), scope.jobs, async ({ wal, place }) => {
    const reading = await reader.wal(repository, { key: wal.key, systemId, segmentBytes });
    judge.add(place, wal, reading);
  });
}

async function* wanted(
  { store }: Repository,
  { told }: WalExpectation,
  { signal, slice }: VerifyScope,
): AsyncGenerator<{ wal: WalObject; place: number }> {
  let place = 0;
  for await (const entry of store.list(WAL_PREFIX, { signal })) {
    const wal = entry.kind === 'object' ? parseWalKey(entry.key) : undefined;
    if (wal === undefined || told.has(wal.key) || !inSlice(slice, wal.key)) continue;
    yield { wal, place };
    place += 1;
  }
}

/** Takes readings as they come, and judges them in the order of their places. */
class WalJudge {
  readonly #report: VerifyReport;
  readonly #inventory: WalInventory;
  readonly #joins: SegmentJoins;
  readonly #early: Map<number, { wal: WalObject; reading: WalReading }> = new Map();
  readonly #cutHistories: Set<TimelineId> = new Set();
  #magic: number | undefined;
  #place = 0;

  constructor(report: VerifyReport, { inventory, major }: WalExpectation) {
    this.#report = report;
    this.#magic = major === undefined ? undefined : magicOf(major);
    this.#inventory = inventory;
    this.#joins = new SegmentJoins(report, (timeline, segno) => isFollowed(timeline, segno, inventory));
  }

  add(place: number, wal: WalObject, reading: WalReading): void {
    this.#early.set(place, { wal, reading });
    for (;;) {
      const next = this.#early.get(this.#place);
      if (next === undefined) return;
      this.#early.delete(this.#place);
      this.#place += 1;
      this.#judge(next.wal, next.reading);
    }
  }

  #judge({ file, key }: WalObject, { problems, read, page, proof }: WalReading): void {
    for (const bytes of read) this.#report.checked(bytes);
    for (const problem of problems) this.#report.problem(problem);
    // What a promotion left is valid up to where it ends, wherever that is; it may not even have been begun.
    if (file.kind === 'partial') this.#report.records += proof?.records ?? 0;
    if (file.kind !== 'segment') return;
    if (page !== undefined) this.#requireAncestor(file.timeline, page.timeline);
    const fits = page === undefined || this.#requireMagic(key, page.magic);
    const segno = segmentNumber(file, this.#inventory.segmentBytes);
    if (segno === undefined) return;
    this.#joins.add({ key, timeline: file.timeline, segno, proof: fits ? proof : undefined });
  }

  /** One cluster is of one version for ever: pg_upgrade makes another one. */
  #requireMagic(object: string, magic: number): boolean {
    this.#magic ??= magic;
    if (magic === this.#magic) return true;
    const message = `page magic is ${hex(magic)}, expected ${hex(this.#magic)}`;
    this.#report.problem({ code: 'misfit', object, message });
    return false;
  }

  /** A new timeline's first segment begins with pages of the one that it left, so that must be in its history. */
  #requireAncestor(timeline: TimelineId, older: TimelineId): void {
    const history = this.#inventory.histories.get(timeline);
    if (history === undefined || lineage(history).includes(older) || this.#cutHistories.has(timeline)) return;
    this.#cutHistories.add(timeline);
    const object = walKey({ kind: 'history', name: historyName(timeline), timeline });
    const message = `its WAL begins with pages of timeline ${formatTimeline(older)}, which it does not name`;
    this.#report.problem({ code: 'misfit', object, message });
  }
}

/** Whether WAL goes on behind this segment: on its timeline, or on one that left it in a later segment. */
function isFollowed(timeline: TimelineId, segno: bigint, inventory: WalInventory): boolean {
  const highest = highestStored(walOf(inventory, timeline));
  if (highest !== undefined && highest > segno) return true;
  const entries = [...inventory.histories.values()].flatMap((history) => history.entries);
  return entries.some((one) => one.timeline === timeline && segnoOfLsn(one.switchLsn, inventory.segmentBytes) > segno);
}

function hex(magic: number): string {
  return magic.toString(16).toUpperCase().padStart(4, '0');
}
