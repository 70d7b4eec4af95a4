import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../scripts/build.ts';
import { run } from '../../support/run.ts';

const MODULE = join(ROOT, 'src/base/release-memory.ts');

/** Leaves 48 MB in buffers that nobody refers to, then calls; prints how many megabytes lie in buffers before and after. */
async function afterCalling(call: string, flags: readonly string[]): Promise<{ before: number; after: number }> {
  const script = `
    import { getHeapStatistics } from 'node:v8';
    import { releaseAll, releaseBeyond, releaseHeapBeyond } from ${JSON.stringify(MODULE)};
    const megabytes = () => getHeapStatistics().external_memory / 2 ** 20;
    for (let at = 0; at < 3; at += 1) Buffer.alloc(16 * 2 ** 20, at + 1);
    const before = megabytes();
    ${call};
    console.log(JSON.stringify({ before, after: megabytes() }));`;
  const result = await run([process.execPath, ...flags, '--input-type=module', '-e', script]);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return JSON.parse(result.stdout) as { before: number; after: number };
}

const FLAGS = ['--expose-gc', '--single-threaded-gc', '--max-semi-space-size=1'];

describe('memory that nobody refers to', () => {
  it('is given back at once when there is more of it than may be', async () => {
    const { before, after } = await afterCalling('releaseBeyond(40 * 2 ** 20)', FLAGS);
    expect(before).toBeGreaterThan(48);
    expect(after).toBeLessThan(20);
  });

  it('is given back at the end of a step that has left much in the heap', async () => {
    const script =
      'let rows = Array.from({ length: 500_000 }, (_, at) => ({ at })); rows = undefined; releaseHeapBeyond(8 * 2 ** 20)';
    expect((await afterCalling(script, FLAGS)).after).toBeLessThan(8);
  });

  it.each(['releaseBeyond(100 * 2 ** 20)', 'releaseHeapBeyond(100 * 2 ** 20)'])(
    'is left where it is not worth the time: %s',
    async (call) => {
      const { before, after } = await afterCalling(call, FLAGS);
      expect(after).toBe(before);
    },
  );

  it('is given back by who has nothing to do', async () => {
    expect((await afterCalling('releaseAll()', FLAGS)).after).toBeLessThan(8);
  });

  it.each(['releaseBeyond(0)', 'releaseHeapBeyond(0)', 'releaseAll()'])(
    'stays where the process was not started for it: %s',
    async (call) => {
      const { before, after } = await afterCalling(call, []);
      expect(after).toBe(before);
    },
  );
});
