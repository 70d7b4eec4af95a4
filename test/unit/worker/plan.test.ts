import { describe, expect, it } from 'vitest';
import { archiverOrder, nextFiles, type FileStage } from '../../../src/worker/plan.ts';

const A = '000000010000000000000005';
const B = '000000010000000000000006';
const C = '000000020000000000000006';
const HISTORY = '00000002.history';

describe('the order of what waits for the archiver', () => {
  it('has history files first, then the names as they sort, as the archiver has it', () => {
    const label = `${A}.00000028.backup`;
    const partial = `${B}.partial`;
    expect(archiverOrder([C, partial, B, HISTORY, label, A])).toEqual([HISTORY, A, label, B, partial, C]);
  });

  it('leaves out what is no WAL file', () => {
    expect(archiverOrder(['x', A, '.', `${A}.tmp`])).toEqual([A]);
  });
});

describe('what is taken up next', () => {
  const stages = (entries: Record<string, FileStage> = {}): Map<string, FileStage> => new Map(Object.entries(entries));

  it('is what nobody has taken up yet, in order, as far as there is room', () => {
    const ready = [HISTORY, A, B, C];
    expect(nextFiles(ready, stages({ [A]: 'under way' }), { mayRetry: true, room: 2 })).toEqual([HISTORY, B]);
    expect(nextFiles(ready, stages({ [A]: 'answered' }), { mayRetry: true, room: 9 })).toEqual([HISTORY, B, C]);
    expect(nextFiles(ready, stages(), { mayRetry: true, room: 0 })).toEqual([]);
    expect(nextFiles(ready, stages(), { mayRetry: true, room: -1 })).toEqual([]);
  });

  it('is nothing but the first that failed, once it may be tried again', () => {
    const failed = stages({ [A]: 'answered', [B]: 'failed', [C]: 'failed' });
    expect(nextFiles([A, B, C], failed, { mayRetry: false, room: 9 })).toEqual([]);
    expect(nextFiles([A, B, C], failed, { mayRetry: true, room: 9 })).toEqual([B]);
  });

  it('goes on when what failed is no longer waited for', () => {
    expect(nextFiles([C], stages({ [B]: 'failed' }), { mayRetry: false, room: 9 })).toEqual([C]);
  });
});
