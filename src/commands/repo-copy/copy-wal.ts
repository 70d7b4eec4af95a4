/** WAL files from one repository into another: read whole, judged, and stored by the same rule as a push. */
import { forEachParallel } from '../../base/parallel.ts';
import { hasCode } from '../../base/errors.ts';
import { readAuthentic } from '../../repository/authentic.ts';
import { judgeWal } from '../../repository/judge-wal.ts';
import { parseWalKey, WAL_PREFIX, type WalObject } from '../../repository/layout.ts';
import { damaged, type ObjectHead } from '../../repository/object-head.ts';
import { readStoredHead } from '../../repository/stored-head.ts';
import { problemOf } from '../../repository/verify-problem.ts';
import { compareStored, mostStoredBytes, pushInto } from '../../repository/wal-archive.ts';
import { WAL_MAX_BYTES } from '../../repository/wal-content.ts';
import type { PreparedWal } from '../../repository/wal-object.ts';
import type { CopyRun } from './copy-run.ts';
import { pairedListing, type PairedEntry } from './paired-listing.ts';

/** `segmentBytes`: of the cluster, where it is known; it bounds what is read into memory. */
export interface WalCopy extends CopyRun {
  segmentBytes: number | undefined;
}

/** History files first: a segment of a timeline is of use only to who knows where that came from. */
export async function copyWal(run: WalCopy): Promise<void> {
  const { source, target, signal, jobs } = run;
  const timelines: string[] = [];
  for await (const entry of source.store.list(WAL_PREFIX, { signal, delimited: true })) {
    if (entry.kind === 'directory') timelines.push(entry.prefix);
  }
  const copyOne = (pair: PairedEntry): Promise<void> => copyPair(run, pair);
  const histories = pairedListing(source.store, target.store, WAL_PREFIX, { signal, delimited: true });
  await forEachParallel(histories, jobs, copyOne);
  for (const prefix of timelines) {
    await forEachParallel(pairedListing(source.store, target.store, prefix, { signal }), jobs, copyOne);
  }
}

async function copyPair(run: WalCopy, { info, there }: PairedEntry): Promise<void> {
  const { target, report, log, quick } = run;
  const wal = parseWalKey(info.key);
  if (wal === undefined) return log.debug(`${info.key} is no WAL object, and is left out`);
  if (there !== undefined && ((quick && there.bytes === info.bytes) || (await haveSameHead(run, wal)))) {
    return report.add('present', info.bytes);
  }
  const prepared = await readSource(run, wal).catch((error: unknown) => {
    if (!hasCode(error, 'damaged')) throw error;
    report.damaged.push(problemOf(error, wal.key));
  });
  if (prepared === undefined) return;
  try {
    report.add((await storeOne(run, prepared)) === 'stored' ? 'copied' : 'present', prepared.encoded.bytes.length);
  } catch (error) {
    if (!hasCode(error, 'conflict', 'damaged')) throw error;
    log.debug(`${target.url}/${wal.key} is left as it is`);
    report.conflicts.push(problemOf(error, wal.key));
  }
}

async function storeOne(
  { target, signal, log, dryRun }: WalCopy,
  wal: PreparedWal,
): Promise<'stored' | 'present' | 'equivalent'> {
  if (!dryRun) return await pushInto(target, wal, { signal, log });
  return (await compareStored(target.store, wal, { signal, log }, 'every byte'))?.outcome ?? 'stored';
}

/** Two small reads, and no contents: both describe the same, and the target's is as long as it says. */
async function haveSameHead({ source, target, signal, systemId }: WalCopy, { key }: WalObject): Promise<boolean> {
  try {
    const [ours, theirs] = await Promise.all([
      readStoredHead(source.store, key, { signal, systemId }),
      readStoredHead(target.store, key, { signal, systemId }),
    ]);
    if (ours === undefined || theirs === undefined) return false;
    const whole = theirs.info.bytes === theirs.frameBytes + theirs.head.storedBytes;
    return whole && SAME.every((field) => ours.head[field] === theirs.head[field]);
  } catch (error) {
    // All of it is read next; then its fault is told.
    if (hasCode(error, 'damaged')) return false;
    throw error;
  }
}

const SAME: readonly (keyof ObjectHead)[] = ['kind', 'name', 'systemId', 'sha256', 'bytes'];

/** The object's oldest authentic version, its bytes as they are. `undefined`: gone by now. Throws `damaged` where none is. */
async function readSource(run: WalCopy, wal: WalObject): Promise<PreparedWal | undefined> {
  const { source, signal, systemId, segmentBytes } = run;
  const object = `${source.url}/${wal.key}`;
  const maxBytes = mostStoredBytes(segmentBytes ?? WAL_MAX_BYTES);
  return await readAuthentic(source.store, wal.key, { signal, maxBytes }, ({ bytes }) => {
    const judgement = judgeWal(wal, bytes, object, { systemId, segmentBytes });
    if (judgement.kind !== 'authentic') throw damaged(object, judgement.why.join('; '));
    const { head, plain } = judgement;
    return { ...wal, systemId, plain, encoded: { head, bytes }, warnings: [] };
  });
}
