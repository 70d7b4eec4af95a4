import type { TimelineId } from '../../postgres/timeline.ts';
import { formatTimeline } from '../../postgres/timeline.ts';
import { segmentName, segmentNumber, segmentsPerLog } from '../../postgres/wal-name.ts';
import type { CallOptions, ListEntry, ObjectInfo, Store } from '../../store/store.ts';
import { OPEN, type End } from '../lock/kept-backups.ts';
import { logDirectory, logPrefix, parseWalKey } from '../layout.ts';

/** An object of a log directory, as far as a listing tells. */
export interface LoggedObject {
  readonly key: string;
  readonly segno: bigint;
  readonly bytes: number;
  /** When its lock ends, in ms since 1970; 0: it is not locked; `OPEN`: it is held; `undefined`: this listing does not say. */
  readonly until: End | undefined;
}

/** What lies in one log directory. A busy year has millions of segments, so they are kept as columns of plain numbers. */
export class StoredLog {
  readonly timeline: TimelineId;
  readonly log: number;
  readonly prefix: string;
  /** Labels and partials. */
  readonly others: readonly LoggedObject[];
  /** When the last of all was stored, ms since 1970. */
  readonly lastStoredAt: number;
  readonly #segmentBytes: number;
  /** Numbers of segments in this log, rising. */
  readonly #segs: Uint16Array;
  readonly #bytes: Uint32Array;
  /** NaN: the listing does not say. */
  readonly #untils: Float64Array;

  constructor(
    { timeline, log, segmentBytes }: { timeline: TimelineId; log: number; segmentBytes: number },
    segments: readonly LoggedObject[],
    rest: { others: readonly LoggedObject[]; lastStoredAt: number },
  ) {
    this.timeline = timeline;
    this.log = log;
    this.prefix = logDirectory(formatTimeline(timeline), log);
    this.others = rest.others;
    this.lastStoredAt = rest.lastStoredAt;
    this.#segmentBytes = segmentBytes;
    this.#segs = Uint16Array.from(segments, ({ segno }) => Number(segno - this.first));
    this.#bytes = Uint32Array.from(segments, ({ bytes }) => Math.min(bytes, 0xffff_ffff));
    this.#untils = Float64Array.from(segments, ({ until = Number.NaN }) => until);
  }

  /** The numbers of the first and the last segment that can lie here. */
  get first(): bigint {
    return BigInt(this.log) * BigInt(segmentsPerLog(this.#segmentBytes));
  }

  get last(): bigint {
    return this.first + BigInt(segmentsPerLog(this.#segmentBytes) - 1);
  }

  has(segno: bigint): boolean {
    const wanted = Number(segno - this.first);
    let low = 0;
    let high = this.#segs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#segs[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return this.#segs[low] === wanted;
  }

  *objects(): Generator<LoggedObject> {
    for (const [at, seg] of this.#segs.entries()) {
      const segno = this.first + BigInt(seg);
      const name = segmentName(this.timeline, segno, this.#segmentBytes);
      const until = this.#untils[at] ?? Number.NaN;
      const key = `${logPrefix(name)}${name}.zst`;
      yield { key, segno, bytes: this.#bytes[at] ?? 0, until: Number.isNaN(until) ? undefined : until };
    }
    yield* this.others;
  }
}

/** Lists one. Names that this format does not put there are passed over. */
export async function readLog(
  store: Store,
  place: { timeline: TimelineId; log: number; segmentBytes: number },
  { signal }: CallOptions,
): Promise<StoredLog> {
  const segments: LoggedObject[] = [];
  const others: LoggedObject[] = [];
  let lastStoredAt = 0;
  for await (const entry of store.list(logDirectory(formatTimeline(place.timeline), place.log), { signal })) {
    const file = entry.kind === 'object' ? parseWalKey(entry.key)?.file : undefined;
    if (entry.kind !== 'object' || file === undefined || file.kind === 'history') continue;
    const segno = segmentNumber(file, place.segmentBytes);
    if (segno === undefined) continue;
    lastStoredAt = Math.max(lastStoredAt, entry.storedAt.getTime());
    const object = { key: entry.key, segno, bytes: entry.bytes, until: lockEnd(entry) };
    (file.kind === 'segment' ? segments : others).push(object);
  }
  return new StoredLog(place, segments, { others, lastStoredAt });
}

/** As `LoggedObject.until`. */
export function lockEnd({ protection }: Extract<ListEntry, { kind: 'object' }> | ObjectInfo): End | undefined {
  if (protection === undefined) return undefined;
  return protection.hold ? OPEN : (protection.retention?.until.getTime() ?? 0);
}
