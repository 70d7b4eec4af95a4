import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sampleMemory } from '../../scripts/bench/memory.ts';
import { FileRepository } from '../support/file-repository.ts';
import { built } from '../support/hook.ts';
import { putSegments } from '../support/made-segments.ts';
import { SMALL_CLUSTER } from '../support/restorable-backup.ts';
import { inSegment, putBackup, type Contents } from '../support/stored-backup.ts';

const FEW = 3_000;
const MANY = 63_000;
/** Its path, size, place and digest, in the record, the manifest and the plan, and what it takes to read them. */
const MOST_BYTES_FOR_A_FILE = 1_200;

test('the plan of a restore takes little memory for each file, however many there are', async () => {
  const few = await peakOf(FEW);
  const many = await peakOf(MANY);
  expect((many - few) / (MANY - FEW)).toBeLessThan(MOST_BYTES_FOR_A_FILE);
});

/** In bytes, of a program that reads and plans everything, and has nothing to compare. */
async function peakOf(files: number): Promise<number> {
  await using stored = await FileRepository.create();
  await putSegments(stored, 2, 8);
  const { 'global/pg_control': control = '', ...others } = SMALL_CLUSTER;
  const names = Array.from({ length: files }, (_, index) => [`base/5/${16_384 + index}`, 'content'] as const);
  const parts: Contents[] = [others, Object.fromEntries(names), { 'global/pg_control': control }];
  await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400), parts, filesPerFrame: 700 });
  const target = join(stored.root, 'empty');
  await mkdir(target);
  const argv = ['restore', '-D', target, '--delta', '--dry-run', '--repo', `file://${stored.root}`];
  const program = spawn(await built('walhold'), argv, { stdio: 'ignore' });
  const memory = sampleMemory(program.pid ?? 0, 10);
  const [status] = (await once(program, 'exit')) as [number];
  expect(status).toBe(0);
  return memory.stop();
}
