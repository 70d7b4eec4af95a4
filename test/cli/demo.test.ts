import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { run } from '../support/run.ts';

// On a machine that does nothing else 20 s are enough.
const DEMO_MS = 240_000;

const [block] = blocksFor(import.meta.url);
const [demo, tests, ...others] = (block?.text ?? '').trimEnd().split('\n');

test("README.md's two commands are the demonstration and what CI runs, which runs this", () => {
  expect([demo, tests, others]).toEqual(['./scripts/demo', './scripts/test', []]);
  expect(readFileSync(join(ROOT, '.ci', 'run'), 'utf8')).toMatch(/^exec scripts\/test ci$/m);
});

test(
  'the demonstration brings the rows back, in a checkout that no other user can enter, and leaves nothing behind',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'walhold-closed-')); // 0700
    try {
      await run(['sh', '-eu', '-c', COPY, 'sh', ROOT, folder], { timeoutMs: 60_000 });
      const result = await run(['sh', '-eu', '-c', demo ?? ''], { cwd: folder, timeoutMs: DEMO_MS });
      expect(result.stderr, result.stdout).toBe('');
      expect(result.stdout).toMatch(/same rows, by count and checksum/);
      expect(result.stdout).toMatch(/The rows are back\.\n$/);
      expect(result).toMatchObject({ status: 0, heldOpen: false });
      const made = new Set(result.stdout.match(/(?:\/[\w.-]+)*\/walhold-demo(-restored)?-\w{6}/g));
      expect([...made].map((path) => [path, existsSync(path)])).toEqual([...made].map((path) => [path, false]));
      expect(made.size).toBe(2);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  DEMO_MS + 60_000,
);

test('the demonstration fails, in a line, when it cannot be given', async () => {
  const result = await run([join(ROOT, 'scripts', 'demo'), '12']);
  expect(result.status).toBe(1);
  expect(result.stderr).toMatch(/"12" is not a major version of PostgreSQL from 13 to 18/);
});

// The files of the checkout as they are now, and its packages, linked where the disk allows.
const COPY = `
cd "$1"
tar -c --exclude=./node_modules --exclude=./.git --exclude=./dist . | tar -x -C "$2"
cp -al node_modules "$2/" 2>/dev/null || cp -a node_modules "$2/"`;
