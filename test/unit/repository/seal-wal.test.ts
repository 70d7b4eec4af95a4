import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { parseSealRecord, type SealRecord } from '../../../src/repository/seal-record.ts';
import { NOW } from '../../support/memory-store.ts';
import { SealedWorld, storedAt } from '../../support/sealed-world.ts';

const DAY_MS = 86_400_000;
const one = timelineId(1);

function sealIn({ memory }: SealedWorld, key: string | undefined): SealRecord {
  const bytes = memory.content(key ?? '');
  if (bytes === undefined) throw new Error(`there is no ${key}`);
  return parseSealRecord(bytes, 'x');
}

function lists({ memory }: SealedWorld): number {
  return memory.calls.filter((call) => call.startsWith('list wal/0')).length;
}

describe('sealing', () => {
  it('names the logs that are whole, with the time of their first segment', async () => {
    const world = new SealedWorld();
    world.putSegments(1, 101);
    world.removeSegment(50);
    const { key, logs, added } = await world.seal();
    const named = sealIn(world, key).logs.get(one) ?? new Map();
    // Not the first, which begins with segment 1, that of the hole, and the last.
    expect([...named.keys()]).toEqual([...Array(25).keys()].filter((log) => log !== 0 && log !== 12));
    expect(named.get(3)).toBe(storedAt(12).getTime());
    expect([logs, added]).toEqual([23, 23]);
  });

  it('leaves nothing where it would spare little, and lists nothing for it', async () => {
    const world = new SealedWorld();
    world.putSegments(0, 59);
    expect(await world.seal()).toEqual({ key: undefined, logs: 0, added: 0, falseSeal: undefined });
    expect(world.memory.calls.filter((call) => call.startsWith('list wal/'))).toEqual([
      'list wal/',
      'list wal/00000001/',
    ]);
  });

  it('takes over what was sealed, and lists what is new', async () => {
    const world = new SealedWorld();
    world.putSegments(0, 799);
    const first = await world.seal();
    expect(first.added).toBe(200);
    world.putSegments(800, 899);
    world.memory.calls.length = 0;
    const second = await world.seal();
    expect([second.logs, second.added]).toEqual([225, 25]);
    expect(sealIn(world, second.key).logs.get(one)?.size).toBe(225);
    // A thirtieth of what was sealed is listed again, one by one.
    expect(lists(world)).toBeLessThan(20);
    expect(await world.seal()).toMatchObject({ key: undefined, added: 0 });
  });

  it('drops what is gone, and what was given up', async () => {
    const world = new SealedWorld();
    world.putSegments(0, 399);
    await world.seal();
    for (let segno = 0; segno < 40; segno += 1) world.removeSegment(segno);
    world.putExpired(0, 49);
    world.putSegments(400, 499);
    const { key } = await world.seal();
    expect(Math.min(...(sealIn(world, key).logs.get(one)?.keys() ?? []))).toBe(13);
  });

  it('finds a false seal within thirty days, and then lists everything', async () => {
    const world = new SealedWorld();
    world.putSegments(0, 399);
    const { key } = await world.seal();
    world.removeSegment(203);
    world.putSegments(400, 499);
    const found = [];
    for (let day = 0; day < 30; day += 1) {
      // Each as if it were the only one.
      const copy = new SealedWorld();
      for (const [name, versions] of world.memory.objects) copy.memory.objects.set(name, versions);
      const report = await copy.seal(NOW.getTime() + day * DAY_MS);
      const named = sealIn(copy, report.key).logs.get(one);
      expect(named?.has(50)).toBe(report.falseSeal === undefined);
      if (report.falseSeal !== undefined) found.push(report);
    }
    expect(found).toMatchObject([
      { falseSeal: { key, directory: 'wal/00000001/0000000100000032/' }, logs: 124, added: 124 },
    ]);
  });

  it('finds out before it lists much that it may not leave one', async () => {
    const world = new SealedWorld();
    world.putSegments(0, 1099);
    const { store } = world.repository;
    const create: typeof store.create = () => Promise.reject(new WalholdError('denied', 'these credentials may not'));
    Object.assign(world.repository, { store: { ...store, create } });
    await expect(world.seal()).rejects.toThrow('may not');
    expect(lists(world)).toBe(1);
  });

  it('locks what it leaves as everything is locked', async () => {
    const lock = { mode: 'governance' as const, periodMs: DAY_MS, maxMs: DAY_MS };
    const world = new SealedWorld({ locks: 'kept', lock });
    world.putSegments(0, 99);
    const { key } = await world.seal();
    expect(world.memory.objects.get(key ?? '')?.[0]?.retention?.until).toEqual(new Date(NOW.getTime() + DAY_MS));
  });
});
