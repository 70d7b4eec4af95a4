import { describe, expect, test } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import {
  firstUncovered,
  stretchesBetween,
  summariesFor,
  type WalStretch,
} from '../../../src/postgres/summary-cover.ts';
import { parseHistory, rootHistory } from '../../../src/postgres/timeline-history.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';

const on = (timeline: number, start: number, end: number): WalStretch => ({
  timeline: timelineId(timeline),
  start: lsn(BigInt(start)),
  end: lsn(BigInt(end)),
});

const BLOCK = 8192;
const SEGMENT = 0x100_0000;

const from = (timeline: number, start: number): { timeline: WalStretch['timeline']; start: WalStretch['start'] } => ({
  timeline: timelineId(timeline),
  start: lsn(BigInt(start)),
});

describe('the WAL between two positions', () => {
  test('is one stretch on one timeline', () => {
    expect(stretchesBetween(from(1, 100), lsn(500n), rootHistory(timelineId(1)))).toEqual([on(1, 100, 500)]);
  });

  test('is a stretch on each timeline on the way', () => {
    const history = parseHistory(timelineId(5), '1\t0/C8\t\n3\t0/12C\t\n');
    expect(stretchesBetween(from(1, 100), lsn(500n), history)).toEqual([
      on(1, 100, 200),
      on(3, 200, 300),
      on(5, 300, 500),
    ]);
    expect(stretchesBetween(from(3, 250), lsn(500n), history)).toEqual([on(3, 250, 300), on(5, 300, 500)]);
  });

  test('is nothing of a timeline that was left where it was joined', () => {
    const history = parseHistory(timelineId(3), '1\t0/C8\t\n2\t0/C8\t\n');
    expect(stretchesBetween(from(1, 100), lsn(500n), history)).toEqual([on(1, 100, 200), on(3, 200, 500)]);
  });
});

describe('summaries', () => {
  const needed = [on(1, 100, 200), on(2, 200, 500)];

  test.each<[string, WalStretch[]]>([
    ['just so', [on(1, 100, 200), on(2, 200, 500)]],
    ['in pieces, in any order', [on(2, 300, 500), on(1, 150, 200), on(2, 200, 300), on(1, 100, 150)]],
    ['with more around, and over one another', [on(1, 0, 160), on(1, 40, 300), on(2, 0, 900)]],
  ])('tell of all that is needed %s', (_, summaries) => {
    expect(firstUncovered(needed, summaries, BLOCK)).toBeUndefined();
  });

  test.each<[string, WalStretch[], number, number]>([
    ['with none', [], 1, 100],
    ['with a late beginning', [on(1, 101, 200), on(2, 200, 500)], 1, 100],
    ['with an early end', [on(1, 100, 200), on(2, 200, 499)], 2, 499],
    ['with a gap', [on(1, 100, 150), on(1, 151, 200), on(2, 200, 500)], 1, 150],
    ['on another timeline', [on(1, 100, 500)], 2, 200],
  ])('do not tell of all %s', (_, summaries, timeline, position) => {
    expect(firstUncovered(needed, summaries, BLOCK)).toEqual({ timeline, position: BigInt(position) });
  });

  // A server that was promoted after its last record ended a segment has [TLI 1, …, 0/3000000) and [TLI 2, 0/3000028, …).
  test.each<[string, WalStretch, number | undefined]>([
    ['the long header of a segment', on(2, 3 * SEGMENT + 40, 4 * SEGMENT), undefined],
    ['the short one of a page', on(2, 3 * SEGMENT + 24, 4 * SEGMENT), undefined],
    ['a header and a record', on(2, 3 * SEGMENT + 48, 4 * SEGMENT), 3 * SEGMENT],
  ])('of a timeline that begins at the edge of a page may begin behind %s', (_, second, gap) => {
    const history = [on(1, 100, 3 * SEGMENT), on(2, 3 * SEGMENT, 4 * SEGMENT)];
    const found = firstUncovered(history, [on(1, 100, 3 * SEGMENT), second], BLOCK);
    expect(found?.position).toEqual(gap === undefined ? undefined : BigInt(gap));
  });

  test('that are needed are those that tell of any of it', () => {
    const wanted = [on(1, 50, 101), on(1, 199, 300), on(2, 400, 600)];
    const others = [on(1, 50, 100), on(1, 200, 300), on(2, 500, 600), on(3, 100, 500)];
    expect(summariesFor(needed, [...wanted, ...others])).toEqual(wanted);
  });
});
