import { describe, expect, it } from 'vitest';
import { Progress, type ProgressMeasure } from '../../../../src/commands/progress/progress.ts';
import { viewsOf, type ProgressOutput } from '../../../../src/commands/progress/views.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const MB = 1024 * 1024;

interface Step {
  ms?: number;
  megabytes?: number;
  phase?: [name: string, measure?: ProgressMeasure];
}

async function shown(
  format: ProgressOutput['format'],
  total: number | undefined,
  steps: readonly Step[],
): Promise<string> {
  const clock = new ManualClock();
  let text = '';
  let bytes = 0;
  const progress = new Progress(viewsOf({ format, write: (more) => (text += more) }), clock);
  progress.phase('copying', { done: () => bytes, total: total === undefined ? undefined : total * MB });
  for (const { ms = 0, megabytes, phase } of steps) {
    if (megabytes !== undefined) bytes = megabytes * MB;
    await clock.advance(ms);
    if (phase !== undefined) progress.phase(...phase);
  }
  await progress[Symbol.asyncDispose]();
  return text;
}

describe('progress', () => {
  it('is one line written over and over on a terminal, and each phase leaves its last', async () => {
    const text = await shown('terminal', 100, [
      { ms: 1000, megabytes: 10 },
      { ms: 1000, megabytes: 50 },
      { megabytes: 100, phase: ['waiting for WAL'] },
    ]);
    expect(text.split('\r\u001b[K')).toEqual([
      '',
      'walhold: copying: 0 bytes of 100 MB (0%)',
      'walhold: copying: 10 MB of 100 MB (10%), 10 MB/s, 0:09 left',
      'walhold: copying: 50 MB of 100 MB (50%), 25 MB/s, 0:02 left',
      'walhold: copying: 100 MB of 100 MB (100%), 50 MB/s\n',
      'walhold: waiting for WAL',
      'walhold: waiting for WAL\n',
    ]);
  });

  it('is a line now and then where lines stay, and one at the end of each phase', async () => {
    const text = await shown('lines', 100, [
      { ms: 5000, megabytes: 10 },
      { ms: 5000, megabytes: 20 },
      { ms: 3000, megabytes: 100, phase: ['waiting for WAL'] },
      { ms: 1000 },
    ]);
    expect(text.split('\n')).toEqual([
      expect.stringMatching(/^walhold: copying: 20 MB of 100 MB \(20%\), /),
      expect.stringMatching(/^walhold: copying: 100 MB of 100 MB \(100%\), /),
      'walhold: waiting for WAL',
      '',
    ]);
  });

  it('is a JSON document an event for programs', async () => {
    const text = await shown('json', 100, [{ ms: 1000, megabytes: 25 }]);
    const events = text.split('\n').slice(0, -1);
    expect(events.map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        phase: 'copying',
        bytesDone: 0,
        bytesTotal: 100 * MB,
        rate: null,
        secondsLeft: null,
        at: '2026-11-22T00:00:00.000Z',
      },
      {
        phase: 'copying',
        bytesDone: 25 * MB,
        bytesTotal: 100 * MB,
        rate: 25 * MB,
        secondsLeft: 3,
        at: '2026-11-22T00:00:01.000Z',
      },
      expect.objectContaining({ bytesDone: 25 * MB, at: '2026-11-22T00:00:01.000Z' }),
    ]);
  });

  it('tells the rate of the last seconds, not of all the time', async () => {
    const slowly = Array.from({ length: 60 }, (_, second) => ({ ms: 1000, megabytes: second + 1 }));
    const quickly = Array.from({ length: 11 }, (_, second) => ({ ms: 1000, megabytes: 60 + 100 * (second + 1) }));
    const text = await shown('terminal', 100_000, [...slowly, ...quickly]);
    const last = text.split('\r\u001b[K').at(-1);
    expect(last).toContain('100 MB/s');
  });

  it('never says more than all, though files grow', async () => {
    expect(await shown('terminal', 100, [{ ms: 1000, megabytes: 120 }])).toContain('100 MB of 100 MB (100%)');
  });

  it('says what is known where nobody knows the end', async () => {
    const text = await shown('terminal', undefined, [{ ms: 1000, megabytes: 8 }]);
    expect(text).toContain('\r\u001b[Kwalhold: copying: 8 MB, 8 MB/s');
  });
});
