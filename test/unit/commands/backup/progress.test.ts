import { describe, expect, it } from 'vitest';
import { showProgress } from '../../../../src/commands/backup/progress.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

async function shown(
  output: { isTerminal: boolean; format: 'text' | 'json' },
  steps: readonly (readonly [ms: number, bytes: number])[],
): Promise<string> {
  const clock = new ManualClock();
  const done = new AbortController();
  let text = '';
  let bytes = 0;
  const source = { bytes: () => bytes, totalBytes: 100 * 1024 * 1024 };
  const work = showProgress(source, { ...output, write: (more) => (text += more) }, { clock, done: done.signal });
  for (const [ms, now] of steps) {
    bytes = now * 1024 * 1024;
    await clock.advance(ms);
  }
  done.abort();
  await work;
  return text;
}

describe('progress', () => {
  it('is one line written over and over on a terminal', async () => {
    const text = await shown({ isTerminal: true, format: 'text' }, [
      [1000, 10],
      [1000, 50],
      [500, 100],
    ]);
    expect(text.split('\r\u001b[K')).toEqual([
      '',
      'walhold: 10 MB of 100 MB (10%), 10 MB/s',
      'walhold: 50 MB of 100 MB (50%), 25 MB/s',
      'walhold: 100 MB of 100 MB (100%), 40 MB/s\n',
    ]);
  });

  it('is a plain line now and then elsewhere, and one at the end', async () => {
    const text = await shown({ isTerminal: false, format: 'text' }, [
      [10_000, 40],
      [5_000, 100],
    ]);
    expect(text).toBe('walhold: 40 MB of 100 MB (40%), 4 MB/s\nwalhold: 100 MB of 100 MB (100%), 6.7 MB/s\n');
  });

  it('is a JSON document a line for programs, terminal or not', async () => {
    const text = await shown({ isTerminal: true, format: 'json' }, [[1000, 25]]);
    const [line] = text.split('\n');
    expect(JSON.parse(line ?? '')).toEqual({
      event: 'progress',
      bytes: 25 * 1024 * 1024,
      totalBytes: 100 * 1024 * 1024,
      percent: 25,
      bytesPerSecond: 25 * 1024 * 1024,
      elapsedSeconds: 1,
    });
  });

  it('never says more than all, though files grow', async () => {
    expect(await shown({ isTerminal: false, format: 'text' }, [[10_000, 120]])).toContain('100 MB of 100 MB (100%)');
  });
});
