import { describe, expect, it } from 'vitest';
import { parseHistory } from '../../../src/postgres/timeline-history.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import {
  historyName,
  parseWalName,
  segmentName,
  type HistoryFile,
  type SegmentFile,
} from '../../../src/postgres/wal-name.ts';
import { findHistoryHole, findSegmentHole } from '../../../src/repository/holes.ts';
import { logPrefix } from '../../../src/repository/layout.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { findStray } from '../../../src/repository/stray-timeline.ts';
import { LONG } from '../../support/effort.ts';
import { SYSTEM_ID, walObject } from '../../support/file-repository.ts';
import { memoryRepository } from '../../support/memory-repository.ts';
import { randomWorld, SEGMENT, type World } from '../../support/random-timelines.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { SlowRecovery, type Place } from '../../support/slow-recovery.ts';

const SEEDS = LONG ? 3000 : 300;
const AT_ONCE = LONG ? 300 : 100;
const { signal } = new AbortController();
const options = { signal, systemId: SYSTEM_ID, segmentBytes: SEGMENT };

const nameOf = ({ timeline, segno }: Place): string => segmentName(timelineId(timeline), BigInt(segno), SEGMENT);
const fileOf = (place: Place): SegmentFile => parseWalName(nameOf(place)) as SegmentFile;
const placeOf = (text: string): Place => {
  const [timeline = 0, segno = 0] = text.split(':').map(Number);
  return { timeline, segno };
};

/** Each object in one of two repositories, or in both: what is judged is judged on all together. */
function repositoriesOf({ stored, segments, partials }: World, random: SeededRandom): Repository[] {
  const made = [memoryRepository(), memoryRepository({ number: 2 })] as const;
  const put = (key: string, bytes: string | Buffer): void => {
    const both = random.oneIn(3);
    const one = random.pick(made);
    for (const { memory } of both ? made : [one]) memory.put(key, Buffer.from(bytes as Buffer));
  };
  // Of segments the names count.
  for (const text of segments) put(`${logPrefix(nameOf(placeOf(text)))}${nameOf(placeOf(text))}.zst`, 'a segment');
  for (const text of partials) {
    const name = nameOf(placeOf(text));
    put(`${logPrefix(name)}${name}.partial.0123456789abcdef.zst`, 'a partial');
  }
  for (const [timeline, { history }] of Object.entries(stored)) {
    if (history === undefined) continue;
    const { key, bytes } = walObject(historyName(timelineId(Number(timeline))), history);
    put(key, bytes);
  }
  return made.map(({ repository }) => repository);
}

async function checkSegments(
  slow: SlowRecovery,
  repositories: readonly Repository[],
  random: SeededRandom,
): Promise<number> {
  let holes = 0;
  for (let n = 0; n < 8; n += 1) {
    const place = { timeline: random.pick(slow.timelines), segno: random.between(1, 24) };
    const what = `${place.timeline}:${place.segno} of ${JSON.stringify(slow.world.stored)}`;
    if (!slow.isStored(place)) {
      const hole = await findSegmentHole(repositories, fileOf(place), options);
      expect(hole !== undefined, `hole ${what}`).toBe(slow.isHole(place));
      if (hole !== undefined) holes += 1;
    }
    const target = random.pick(slow.timelines);
    const history = slow.world.stored[target]?.history;
    if (history === undefined) continue;
    const parsed = parseHistory(timelineId(target), history);
    const stray = await findStray(repositories, fileOf(place), parsed, options);
    expect(stray !== undefined, `stray ${what} towards ${target}`).toBe(slow.leadsPastFork(place, target));
  }
  return holes;
}

async function checkHistories(slow: SlowRecovery, repositories: readonly Repository[]): Promise<void> {
  const highest = slow.timelines.at(-1) ?? 1;
  for (let timeline = 2; timeline <= highest + 1; timeline += 1) {
    if (slow.world.histories.has(timeline)) continue;
    const file = parseWalName(historyName(timelineId(timeline))) as HistoryFile;
    for (const latest of [true, false]) {
      const hole = await findHistoryHole(repositories, file, { signal, latest });
      const goesOn = slow.timelines.some((other) =>
        other === timeline ? slow.highest(other) >= 0 : latest && other > timeline,
      );
      expect(hole !== undefined, `${file.name} (${latest}) of ${JSON.stringify(slow.world.stored)}`).toBe(goesOn);
    }
  }
}

describe('what a fetch makes of absence in trees of timelines', () => {
  it.each(Array.from({ length: SEEDS / AT_ONCE }, (_, at) => at * AT_ONCE))(
    'is what one finds by looking at everything (seeds from %i on)',
    async (from) => {
      let holes = 0;
      for (let seed = from; seed < from + AT_ONCE; seed += 1) {
        const random = new SeededRandom(seed + 2_000_000);
        const slow = new SlowRecovery(randomWorld(seed));
        if (slow.timelines.length === 0) continue;
        const repositories = repositoriesOf(slow.world, random);
        holes += await checkSegments(slow, repositories, random);
        await checkHistories(slow, repositories);
      }
      expect(holes).toBeGreaterThan(AT_ONCE / 4);
    },
    120_000,
  );
});
