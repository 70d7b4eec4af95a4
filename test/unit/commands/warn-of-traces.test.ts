import { describe, expect, it } from 'vitest';
import { textLog } from '../../../src/base/log.ts';
import { parseAsOf } from '../../../src/commands/as-of.ts';
import { warnOfTraces } from '../../../src/commands/warn-of-traces.ts';
import type { Stranger } from '../../../src/store/store.ts';

function warned(...strangers: Stranger[][]): string[] {
  const lines: string[] = [];
  const log = textLog('walhold', 'info', (line) => lines.push(line));
  warnOfTraces(
    log,
    strangers.map((each, index) => ({ number: index + 1, url: `s3://bucket${index + 1}/x`, strangers: each })),
  );
  return lines;
}

const later = (key: string, version = 'v2'): Stranger => ({
  kind: 'later-version',
  key,
  version,
  storedAt: new Date('2026-11-22T17:45:00Z'),
});

describe('a call that met traces of somebody else', () => {
  it('says nothing where there are none', () => {
    expect(warned([], [])).toEqual([]);
  });

  it('names the object, its repository, the version and the time', () => {
    expect(warned([], [later('walhold.json')]).join('')).toMatch(
      /^walhold: warning: a trace of somebody else .*\nwalhold: detail: s3:\/\/bucket2\/x\/walhold\.json: version v2, stored at 2026-11-22T17:45:00\.000Z, .*\nwalhold: hint: .*walhold verify/,
    );
  });

  it('names five of many, and counts the rest, in one warning', () => {
    const many = Array.from({ length: 2000 }, (_, index) => later(`wal/${String(index).padStart(4, '0')}`));
    const text = warned(many, [later('walhold.json')]).join('');
    expect(text.match(/warning:/g)).toHaveLength(1);
    expect(text.match(/is not believed/g)).toHaveLength(5);
    expect(text).toContain('2001 traces');
    expect(text).toContain('; and 1996 more');
    expect(text.length).toBeLessThan(2000);
  });
});

describe('--as-of', () => {
  const berlin = (): number => 60;

  it.each([
    ['2026-11-22 17:45:00', '2026-11-22T16:45:00.000Z', '2026-11-22 17:45:00.000000+01:00'],
    ['2026-11-22 17:45:00.123999Z', '2026-11-22T17:45:00.123Z', '2026-11-22 17:45:00.123999+00:00'],
  ])('%s is a moment, to be written out with its offset', (text, at, written) => {
    const asOf = parseAsOf(text, berlin);
    expect([asOf.at.toISOString(), asOf.text]).toEqual([at, written]);
    expect(parseAsOf(asOf.text, () => 0)).toEqual(asOf);
  });
});
