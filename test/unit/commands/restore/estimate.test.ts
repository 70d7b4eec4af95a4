import { describe, expect, it } from 'vitest';
import { estimateLine, estimateOf } from '../../../../src/commands/restore/estimate.ts';
import type { DrillRecord } from '../../../../src/repository/drill-record.ts';
import type { BackupId } from '../../../../src/repository/layout.ts';
import { SYSTEM_ID } from '../../../support/file-repository.ts';

const drill: DrillRecord = {
  systemId: SYSTEM_ID,
  at: new Date('2026-11-22T17:45:00.123Z'),
  by: 'a test',
  ok: true,
  backup: '20261122T174500Z-full' as BackupId,
  target: 'the end of the WAL',
  targetReached: true,
  rtoSeconds: 130,
  restoreSeconds: 100,
  replaySeconds: 30,
  lastCommitAt: undefined,
  rpoSeconds: 1,
  bytes: 1000,
  walBytes: 60,
  checks: [],
};
const effort = { bytes: 2500, walBytes: 90 };

describe('the estimate of a recovery', () => {
  it('is the drill’s time in proportion to bytes and WAL, and says which drill', () => {
    const estimate = estimateOf({ last: drill, proven: drill }, effort);
    expect(estimate).toEqual({
      restoreSeconds: 250,
      replaySeconds: 45,
      totalSeconds: 295,
      basis: { drill: 'drill/20261122T174500Z.json', at: '2026-11-22T17:45:00.123Z', backup: drill.backup },
    });
    expect(estimateLine(estimate)).toBe(
      'estimated time: 4 min 55 s (restore 4 min 10 s, replay 45 s), in proportion to the drill of 2026-11-22T17:45:00.123Z',
    );
  });

  it('goes by the newest that measured both, though a check of it failed', () => {
    const failed = { ...drill, ok: false, restoreSeconds: 200 };
    expect(estimateOf({ last: failed, proven: drill }, effort)?.restoreSeconds).toBe(500);
    const broken = { ...drill, ok: false, replaySeconds: undefined };
    expect(estimateOf({ last: broken, proven: drill }, effort)?.restoreSeconds).toBe(250);
  });

  it.each<[string, DrillRecord | undefined]>([
    ['was held', undefined],
    ['tells how much it moved', { ...drill, bytes: undefined }],
    ['tells how much WAL it replayed', { ...drill, walBytes: undefined }],
    ['had anything to replay', { ...drill, walBytes: 0 }],
    ['came so far', { ...drill, restoreSeconds: undefined }],
    ['had a clock that went forward', { ...drill, replaySeconds: -4 }],
  ])('is unknown where no drill %s', (_, last) => {
    const estimate = estimateOf({ last, proven: undefined }, effort);
    expect(estimate).toBeNull();
    expect(estimateLine(estimate)).toContain('not known');
  });
});
