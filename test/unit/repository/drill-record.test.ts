import { describe, expect, it } from 'vitest';
import { formatDrillRecord, parseDrillRecord, type DrillRecord } from '../../../src/repository/drill-record.ts';
import { readKnownDrills, storeDrill } from '../../../src/repository/drill-records.ts';
import type { BackupId } from '../../../src/repository/layout.ts';
import { sealJson } from '../../../src/repository/sealed-json.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';
import { memoryRepository } from '../../support/memory-repository.ts';

const record: DrillRecord = {
  systemId: SYSTEM_ID,
  at: new Date('2026-11-22T17:45:00.123Z'),
  by: 'walhold 0.1.0 on host',
  ok: true,
  backup: '20261122T174500Z-full' as BackupId,
  target: 'the end of the WAL',
  targetReached: true,
  rtoSeconds: 12.5,
  restoreSeconds: 10,
  replaySeconds: 2.5,
  lastCommitAt: '2026-11-22T17:44:59.123456Z',
  rpoSeconds: 0.9,
  bytes: 5_000_000,
  walBytes: 300,
  checks: [
    { name: 'restore', ok: true, detail: 'fine' },
    { name: 'recovery', ok: true, detail: 'fine, too' },
  ],
};
const failed: DrillRecord = {
  ...record,
  ok: false,
  targetReached: false,
  rtoSeconds: undefined,
  replaySeconds: undefined,
  lastCommitAt: undefined,
  rpoSeconds: undefined,
  checks: [],
};

/** The document with one thing changed, sealed again. */
function changed(from: string, to: string): Buffer {
  const text = formatDrillRecord(record).toString().split('\n').slice(0, -2).join('\n');
  expect(text).toContain(from);
  return sealJson(text.replace(from, to).split('\n'));
}

describe('a record of a drill', () => {
  it.each([record, failed])('is read as it was written', (one) => {
    expect(parseDrillRecord(formatDrillRecord(one), 'x')).toEqual(one);
  });

  it('is read as well as one of before drills told how much they moved', () => {
    const before = formatDrillRecord(record).toString().split('\n').slice(0, -2);
    const lines = before.filter((line) => !/^"(bytes|walBytes)"/.test(line));
    expect(lines).toHaveLength(before.length - 2);
    expect(parseDrillRecord(sealJson(lines), 'x')).toEqual({ ...record, bytes: undefined, walBytes: undefined });
  });

  it.each([
    ['another digest', Buffer.from(formatDrillRecord(record).toString().replace('12.5', '1.5'))],
    ['another format', changed('"format": 1', '"format": 2')],
    ['no cluster', changed(`"${SYSTEM_ID}"`, '"0"')],
    ['no time', changed('2026-11-22T17:45:00.123Z', 'today')],
    ['a word for a flag', changed('"ok": true', '"ok": "yes"')],
    ['a backup that there cannot be', changed('20261122T174500Z-full', '../../x')],
    ['a word for seconds', changed('"rtoSeconds": 12.5', '"rtoSeconds": "12.5"')],
    ['seconds beyond all bounds', changed('"rtoSeconds": 12.5', '"rtoSeconds": 1e300')],
    ['a commit at no time', changed('2026-11-22T17:44:59.123456Z', 'yesterday')],
    ['a check without a name', changed('"name":"restore",', '')],
    ['a detail without end', changed('"fine"', JSON.stringify('x'.repeat(501)))],
    ['an amount below nothing', changed('"walBytes": 300', '"walBytes": -300')],
    ['checks that are no list', changed('"checks": [', '"checks": {}, "more": [')],
  ])('is refused with %s', (_, bytes) => {
    expect(() => parseDrillRecord(bytes, 'x')).toThrow(/could not (?:trust|read) x/);
  });
});

describe('what drills have shown', () => {
  const { signal } = new AbortController();
  const now = Date.parse('2026-11-23T12:00:00Z');
  const at = (hour: number): Date => new Date(Date.UTC(2026, 10, 23, hour));
  const options = { signal, systemId: SYSTEM_ID, now };

  it('is nothing where there was none', async () => {
    const { repository } = memoryRepository();
    expect(await readKnownDrills([repository], options)).toEqual({ last: undefined, proven: undefined, failures: [] });
  });

  it('is the newest, and the newest that went well, in whatever repository they are', async () => {
    const [a, b] = [memoryRepository(), memoryRepository({ number: 2 })];
    await storeDrill(a.repository, { ...record, at: at(1) }, { signal });
    await storeDrill(b.repository, { ...record, at: at(2) }, { signal });
    await storeDrill(a.repository, { ...failed, at: at(3) }, { signal });
    const { last, proven } = await readKnownDrills([a.repository, b.repository], options);
    expect(last).toEqual({ ...failed, at: at(3) });
    expect(proven).toEqual({ ...record, at: at(2) });
  });

  it('leaves out what cannot be trusted: damaged, of another cluster, under another name, from the future', async () => {
    const { repository, memory } = memoryRepository();
    await storeDrill(repository, { ...record, at: at(1) }, { signal });
    memory.put('drill/20261123T020000Z.json', Buffer.from('{}'));
    memory.put('drill/20261123T030000Z.json', formatDrillRecord({ ...record, systemId: 7n, at: at(3) }));
    memory.put('drill/20261123T040000Z.json', formatDrillRecord({ ...record, at: at(5) }));
    memory.put('drill/20261124T060000Z.json', formatDrillRecord({ ...record, at: new Date('2026-11-24T06:00:00Z') }));
    expect((await readKnownDrills([repository], options)).last?.at).toEqual(at(1));
  });

  it('takes the next second where a name is taken by another, and never replaces it', async () => {
    const { repository } = memoryRepository();
    expect(await storeDrill(repository, record, { signal })).toBe('drill/20261122T174500Z.json');
    expect(await storeDrill(repository, failed, { signal })).toBe('drill/20261122T174501Z.json');
    // An answer that was lost: the same again is the same object.
    expect(await storeDrill(repository, record, { signal })).toBe('drill/20261122T174500Z.json');
  });
});
