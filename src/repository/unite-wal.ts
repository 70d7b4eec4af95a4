import { StoredSegments, type StoredSpan } from './stored-segments.ts';
import type { StoredPartial, TimelineWal } from './wal-inventory.ts';

/** One timeline of several repositories: sorted lists merged, the first repository's facts first. */
export function uniteWal(parts: readonly TimelineWal[]): TimelineWal {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const segments = new StoredSegments();
  const cursors = parts.map((part) => new Cursor(part.segments.spans()));
  for (;;) {
    const heads = cursors.flatMap(({ head }) => head ?? []);
    const segno = heads.reduce<bigint | undefined>(
      (low, head) => (low === undefined || head.segno < low ? head.segno : low),
      undefined,
    );
    if (segno === undefined) break;
    const same = heads.filter((head) => head.segno === segno);
    const [first] = same;
    // As far as all agree.
    const next = heads.filter((head) => head.segno > segno).map((head) => Number(head.segno - segno));
    const count = Math.min(...same.map((head) => head.count), ...next);
    const repositories = same.flatMap((head) => head.repositories);
    if (first !== undefined) segments.pushSpan({ ...first, count, repositories });
    for (const cursor of cursors) if (cursor.head?.segno === segno) cursor.pass(count);
  }
  return { segments, partials: unitePartials(parts.flatMap((part) => part.partials)) };
}

class Cursor {
  head: StoredSpan | undefined;
  readonly #rest: Generator<StoredSpan>;

  constructor(spans: Generator<StoredSpan>) {
    this.#rest = spans;
    this.head = this.#next();
  }

  /** The first `count` segments of the head are done with. */
  pass(count: number): void {
    const { head } = this;
    if (head === undefined || head.count <= count) this.head = this.#next();
    else {
      const segno = head.segno + BigInt(count);
      this.head = { ...head, segno, count: head.count - count, storedAt: undefined };
    }
  }

  #next(): StoredSpan | undefined {
    const next = this.#rest.next();
    return next.done === true ? undefined : next.value;
  }
}

function unitePartials(all: readonly StoredPartial[]): StoredPartial[] {
  const byKey = new Map<string, StoredPartial>();
  for (const partial of all) {
    const known = byKey.get(partial.key);
    byKey.set(
      partial.key,
      known === undefined ? partial : { ...known, repositories: [...known.repositories, ...partial.repositories] },
    );
  }
  return [...byKey.values()].sort((a, b) => (a.segno < b.segno ? -1 : a.segno > b.segno ? 1 : a.key < b.key ? -1 : 1));
}
