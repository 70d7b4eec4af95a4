// Called by scripts/test, which says what it does.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './build.ts';
import { NOTHING, readCounts, sum, type Counts } from './test-counts.ts';
import { planOf, type Project } from './test-plan.ts';

const SECOND_MS = 1_000;

/** Vitest colours what goes into a file too. */
const COLOURS = process.stdout.isTTY ? {} : { NO_COLOR: '1' };

/** What was done, for the table at the end. */
interface Line {
  name: string;
  seconds: number;
  outcome: string;
}

const lines: Line[] = [];
let total: Counts = NOTHING;

const plan = planOf(process.argv.slice(2));
for (const { name, argv, limitSeconds } of plan.checks) {
  const { ok, seconds } = await runStep(name, argv, {}, limitSeconds);
  // A failed check counts like a failed test: the closing line must not look green.
  if (!ok) total = sum(total, { passed: 0, failed: 1, skipped: 0 });
  lines.push({ name, seconds, outcome: ok ? 'ok' : 'FAILED' });
}
for (const project of plan.projects) {
  total = sum(total, await runProject(project));
}

process.stdout.write(`\n${lines.map(tableRow).join('\n')}\n\n`);
process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exitCode = total.failed > 0 ? 1 : 0;

async function runProject({ name, files, limitSeconds }: Project): Promise<Counts> {
  const vitest = [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', '-c', 'test/vitest.config.ts'];
  const report = join('node_modules', `.test-report-${name}-${process.pid}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const projects = ['--project', name, '--project', `${name}-alone`]; // test/vitest.config.ts tells them apart
  const argv = [...vitest, ...projects, '--passWithNoTests', ...reporters, ...files];
  const { ok, seconds } = await runStep(name, argv, plan.env, limitSeconds);
  const counts = await readCounts(join(ROOT, report), ok);
  const { passed, failed, skipped } = counts;
  lines.push({ name, seconds, outcome: `${passed} passed, ${failed} failed, ${skipped} skipped` });
  return counts;
}

/** Runs one program to its end or its limit, with what it prints going where this one's goes. */
async function runStep(
  name: string,
  argv: readonly string[],
  env: Record<string, string>,
  limitSeconds: number,
): Promise<{ ok: boolean; seconds: number }> {
  process.stdout.write(`\n# ${name}\n`);
  const started = performance.now();
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...COLOURS, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const timer = setTimeout(() => {
    process.stdout.write(`${name} did not end within ${limitSeconds} s and is stopped\n`);
    child.kill('SIGKILL');
  }, limitSeconds * SECOND_MS);
  const status = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      process.stdout.write(`${String(error)}\n`);
      resolve(null);
    });
    child.once('exit', resolve);
  });
  clearTimeout(timer);
  return { ok: status === 0, seconds: (performance.now() - started) / SECOND_MS };
}

function tableRow({ name, seconds, outcome }: Line): string {
  return `${name.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s   ${outcome}`;
}
