// Measures what reads a year of WAL, without a seal and with one, and writes the section of RESULTS.md. About ten minutes and 1 GB.
//
//   scripts/with-node scripts/bench/seals.ts [--segments 2000000] [--backups 1000] [--repository DIRECTORY] [--output FILE]
//
//   --repository DIRECTORY   one that make-year.ts has made, whose seals are removed; without it one is made in a temporary directory, and removed
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { sealWal } from '../../src/repository/seal-wal.ts';
import { SYSTEM_ID } from '../../test/support/file-repository.ts';
import { counted, list, plan, status, type Work } from '../../test/support/year-requests.ts';
import { ROOT } from '../build.ts';
import { sampleMemory } from './memory.ts';
import { writeSection } from './results-file.ts';

const { values } = parseArgs({
  options: {
    segments: { type: 'string', default: '2000000' },
    backups: { type: 'string', default: '1000' },
    repository: { type: 'string' },
    output: { type: 'string', default: fileURLToPath(new URL('RESULTS.md', import.meta.url)) },
  },
});

const place = mkdtempSync(join(tmpdir(), 'walhold-seals-'));
process.on('exit', () => rmSync(place, { recursive: true, force: true }));
await finished([process.execPath, join(ROOT, 'scripts/build.ts')]);
const root = values.repository ?? join(place, 'repository');
if (values.repository === undefined) {
  const size = ['--segments', values.segments, '--backups', values.backups, '--links'];
  await finished([process.execPath, join(ROOT, 'scripts/bench/make-year.ts'), root, ...size]);
}
const config = join(place, 'walhold.conf');
writeFileSync(config, `repo = 'file://${root}'\nlock_mode = governance\nlock_period = 60d\n`);

const PLAN = ['restore', '--plan'];
const EXPIRE = ['expire', '--dry-run', '--retention-window', '14d'];
rmSync(join(root, 'seal'), { recursive: true, force: true });
const rows = [
  await row('`list`, no seal yet', ['list'], list),
  await row('leaving the first seal', undefined, async (repository) => {
    const cluster = { systemId: SYSTEM_ID, segmentBytes: 16 * 1024 * 1024 };
    const { signal } = new AbortController();
    return await sealWal(repository, { ...cluster, signal, clock: systemClock, jobs: 2, by: 'bench' });
  }),
  await row('`list`', ['list'], list),
  await row('`status`', ['status'], status),
  await row('`restore --plan`, from the newest backup', PLAN, plan),
  await row('`verify --quick`', ['verify', '--quick'], undefined),
  await row('`expire --dry-run`', EXPIRE, undefined),
];
await writeSection(
  values.output,
  'seals',
  [
    '## A year of WAL, read by its seal',
    '',
    `${values.segments} segments of 16 MB and ${values.backups} backups in \`file://\`; written by \`scripts/bench/seals.ts\`. Seconds and peak memory are those of the`,
    'command. The last columns count what the same names would cost on S3: listings in pages of 1,000, and reads of single objects.',
    '',
    '|  | seconds | peak MB | listings | reads |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows,
  ].join('\n'),
);

async function row(
  name: string,
  argv: readonly string[] | undefined,
  work: Work<unknown> | undefined,
): Promise<string> {
  const measured = argv === undefined ? undefined : await measure(argv);
  const requests = work === undefined ? undefined : (await counted(root, work)).requests;
  const cells = [
    name,
    measured?.seconds.toFixed(1) ?? '',
    measured === undefined ? '' : String(Math.round(measured.peakBytes / 1024 ** 2)),
    String(requests?.lists ?? ''),
    String(requests?.reads ?? ''),
  ];
  return `| ${cells.join(' | ')} |`;
}

async function measure(words: readonly string[]): Promise<{ seconds: number; peakBytes: number }> {
  const begun = performance.now();
  const argv = [...words, '--json', '--config', config];
  const child = spawn(join(ROOT, 'bin/walhold'), argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  const memory = sampleMemory(child.pid ?? 0, 100);
  // What the parts hold is not real, and `verify` says so.
  await new Promise((resolve) => child.on('close', resolve));
  return { seconds: (performance.now() - begun) / 1000, peakBytes: memory.stop() };
}

async function finished([program = '', ...argv]: readonly string[]): Promise<void> {
  const child = spawn(program, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = await new Promise((resolve) => child.on('close', resolve));
  if (ended !== 0) throw new Error(`${argv.join(' ')} ended with ${String(ended)}`);
}
