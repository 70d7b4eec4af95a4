// Measures `lock status` and `lock extend` on a year of WAL, and writes the section of RESULTS.md. About fifteen minutes and 10 GB.
//
//   scripts/with-node scripts/bench/locks.ts [--segments 2000000] [--backups 8760] [--repository DIRECTORY] [--output FILE]
//
//   --repository DIRECTORY   one that make-year.ts has made; without it one is made in a temporary directory, and removed
import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { extendLocks } from '../../src/repository/lock/extend-locks.ts';
import { lockReport } from '../../src/repository/lock/lock-report.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { fileStore } from '../../src/store/file.ts';
import { ROOT } from '../build.ts';
import { asAccount, serverUser } from '../server-user.ts';
import { asOnS3, type Requests } from './as-on-s3.ts';
import { sampleMemory } from './memory.ts';
import { writeSection } from './results-file.ts';

const DAY_MS = 86_400_000;
const JOBS = 8;
const RULE = { mode: 'governance', periodMs: 60 * DAY_MS, maxMs: 365 * DAY_MS } as const;

const { values } = parseArgs({
  options: {
    segments: { type: 'string', default: '2000000' },
    backups: { type: 'string', default: '8760' },
    repository: { type: 'string' },
    output: { type: 'string', default: fileURLToPath(new URL('RESULTS.md', import.meta.url)) },
  },
});

// Not as root, who would set the immutable attribute on two million files.
const account = serverUser();
const place = mkdtempSync(join(tmpdir(), 'walhold-locks-'));
if (process.getuid?.() === 0) chownSync(place, account.uid, account.gid);
process.on('exit', () => rmSync(place, { recursive: true, force: true }));

await finished(spawn(process.execPath, [join(ROOT, 'scripts/build.ts')], { stdio: 'inherit' }));
const repository = values.repository ?? join(place, 'repository');
if (values.repository === undefined) await makeYear();
const config = join(place, 'walhold.conf');
writeFileSync(config, `repo = 'file://${repository}'\nlock_mode = governance\nlock_period = 60d\n`, { mode: 0o644 });
const rows = [];
for (const words of [['status'], ['extend'], ['extend'], ['status']]) rows.push(await measure(words));
await writeSection(values.output, 'locks', `## Locks over a year\n\n${await describe(rows)}`);

interface Measured {
  words: string[];
  seconds: number;
  peakBytes: number;
}

async function makeYear(): Promise<void> {
  const script = join(ROOT, 'scripts/bench/make-year.ts');
  const argv = [script, repository, '--segments', values.segments, '--backups', values.backups];
  await finished(spawn(process.execPath, argv, { ...asAccount(account), stdio: ['ignore', 'ignore', 'inherit'] }));
}

async function measure(words: string[]): Promise<Measured> {
  const begun = performance.now();
  const argv = ['lock', ...words, '--json', '--config', config];
  const child = spawn(join(ROOT, 'bin/walhold'), argv, {
    ...asAccount(account),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const memory = sampleMemory(child.pid ?? 0, 100);
  await finished(child);
  return { words, seconds: (performance.now() - begun) / 1000, peakBytes: memory.stop() };
}

async function finished(child: ReturnType<typeof spawn>): Promise<void> {
  const status = await new Promise((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(`${child.spawnargs.join(' ')} ended with ${String(status)}`);
}

async function describe([first, extended, nothing, again]: Measured[]): Promise<string> {
  const { status, extend } = await countOnS3();
  const row = (name: string, of: Measured | undefined, requests: string): string =>
    `| ${name} | ${(of?.seconds ?? 0).toFixed(1)} | ${Math.round((of?.peakBytes ?? 0) / 1024 ** 2)} | ${requests} |`;
  return [
    `${values.segments} segments of 16 MB and ${values.backups} backups, all needed and locked, in \`file://\`; written by \`scripts/bench/locks.ts\`. Seconds and peak memory`,
    'are those of the command, as above. On S3 listings do not tell locks: the last column counts what the same names would cost there',
    '(listings in pages of 1,000; requests for the locks of single objects), with the record that the first `lock extend` left.',
    '',
    '|  | seconds | peak MB | on S3 |',
    '| --- | ---: | ---: | --- |',
    row('`lock status`, no record yet', first, ''),
    row('`lock extend`, no record yet', extended, ''),
    row(
      '`lock extend`, nothing to do',
      nothing,
      `${extend.lists} listings, ${extend.looks} objects of the day's slice`,
    ),
    row('`lock status`', again, `${status.lists} listings, ${status.looks} objects to prove it`),
  ].join('\n');
}

async function countOnS3(): Promise<{ status: Requests; extend: Requests }> {
  const signal = new AbortController().signal;
  const counted = async (work: (repository: Repository) => Promise<unknown>): Promise<Requests> => {
    const requests: Requests = { lists: 0, looks: 0, reads: 0 };
    const store = asOnS3(fileStore({ root: repository }), requests);
    const settings = { scheme: 's3', bucket: 'bucket', prefix: 'main' } as const;
    const retention = { windowMs: undefined, fullBackups: 2 };
    await work({ number: 1, url: store.url, settings, lock: RULE, retention, strangers: [], store });
    return requests;
  };
  const options = { signal, clock: systemClock, jobs: JOBS };
  return {
    status: await counted((one) => lockReport(one, RULE, options)),
    extend: await counted((one) => extendLocks(one, RULE, { ...options, by: 'bench', dryRun: true })),
  };
}
