import { describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS, percentAt, ticksOf, timeScale } from '../../../../src/commands/report/time-scale.ts';
import { durationText, timeMark, timeText } from '../../../../src/commands/report/time-text.ts';

const END = Date.UTC(2026, 10, 22, 17, 45);

describe('a scale of time', () => {
  it('runs from 0 to 100, and keeps what lies outside at its edges', () => {
    const scale = timeScale(END - 4 * DAY_MS, END);
    expect([-9, -4, -3, -1, 0, 9].map((days) => percentAt(scale, END + days * DAY_MS))).toEqual([
      0, 0, 25, 75, 100, 100,
    ]);
  });

  it('has room where nothing has happened yet', () => {
    expect(percentAt(timeScale(END, END), END)).toBe(100);
  });

  const spans: [name: string, ms: number, first: string][] = [
    ['nothing', 0, '11-22 17:36'],
    ['an hour', HOUR_MS, '11-22 16:50'],
    ['a day', DAY_MS, '11-21 20:00'],
    ['a week', 7 * DAY_MS, '2026-11-16'],
    ['three months', 90 * DAY_MS, '2026-08-27'],
    ['a year', 365 * DAY_MS, '2026-01'],
    ['twenty years', 20 * 365 * DAY_MS, '2010-01'],
    ['five hundred years', 500 * 365 * DAY_MS, '1600-01'],
  ];
  it.each(spans)('has a few round moments for %s', (_, ms, first) => {
    const scale = timeScale(END - ms, END);
    const ticks = ticksOf(scale);
    expect(ticks[0]?.label).toBe(first);
    expect(ticks.length).toBeLessThanOrEqual(8);
    for (const { at } of ticks) {
      expect(at).toBeGreaterThanOrEqual(scale.from);
      expect(at).toBeLessThanOrEqual(scale.to);
    }
  });
});

describe('times and durations', () => {
  const durations: [ms: number, text: string][] = [
    [0, '0 s'],
    [499, '0 s'],
    [59_600, '1 min'],
    [61_000, '1 min 1 s'],
    [-3_600_000, '1 h'],
    [DAY_MS + 59_000, '1 d'],
    [DAY_MS * 400 + 5 * HOUR_MS + 59_000, '400 d 5 h'],
  ];
  it.each(durations)('%d ms is %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  it('are in UTC, and nothing where they cannot be written', () => {
    expect(timeText(END)).toBe('2026-11-22 17:45');
    expect(timeMark(END).text).toContain('datetime="2026-11-22T17:45:00.000Z"');
    for (const ms of [NaN, Infinity, 1e18, -1e18, 2.6e14])
      expect([timeText(ms), timeMark(ms).text]).toEqual(['-', '-']);
  });
});
