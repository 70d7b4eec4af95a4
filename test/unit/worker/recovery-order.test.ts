import { describe, expect, it } from 'vitest';
import { parseHistory, type TimelineHistory } from '../../../src/postgres/timeline-history.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { parseWalName, type SegmentFile } from '../../../src/postgres/wal-name.ts';
import { segmentAfter } from '../../../src/worker/recovery-order.ts';

const MIB = 1024 * 1024;

function after(name: string, target?: TimelineHistory, segmentBytes = 16 * MIB): string | undefined {
  return segmentAfter(parseWalName(name) as SegmentFile, { segmentBytes, target });
}

const history = (timeline: number, text: string): TimelineHistory => parseHistory(timelineId(timeline), text);

describe('what recovery asks for after a segment', () => {
  it.each([
    ['000000010000000000000005', 16 * MIB, '000000010000000000000006'],
    ['0000000100000000000000FF', 16 * MIB, '000000010000000100000000'],
    ['000000010000000000000003', 1024 * MIB, '000000010000000100000000'],
    ['000000010000000000000FFF', MIB, '000000010000000100000000'],
  ])('after %s, in segments of %i bytes, is %s', (name, segmentBytes, expected) => {
    expect(after(name, undefined, segmentBytes)).toBe(expected);
  });

  it('is nothing where the name fits no segment of that size', () => {
    expect(after('0000000100000000000000FF', undefined, 1024 * MIB)).toBeUndefined();
  });

  it('is on the next timeline from the segment on in which that begins', () => {
    const target = history(2, '1\t0/7000100\twhy\n');
    expect(after('000000010000000000000005', target)).toBe('000000010000000000000006');
    expect(after('000000010000000000000006', target)).toBe('000000020000000000000007');
  });

  it('is on the last of several that begin in one segment', () => {
    const target = history(3, '1\t0/7000100\twhy\n2\t0/7000200\twhy\n');
    expect(after('000000010000000000000006', target)).toBe('000000030000000000000007');
  });

  it('stays on the timeline of the segment where newer ones lack the segments before it', () => {
    const target = history(3, '1\t0/7000100\twhy\n2\t0/9000100\twhy\n');
    expect(after('000000010000000000000007', target)).toBe('000000010000000000000008');
    expect(after('000000010000000000000008', target)).toBe('000000030000000000000009');
  });
});
