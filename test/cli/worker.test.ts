import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, unlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LONG } from '../support/effort.ts';
import { SYSTEM_ID } from '../support/file-repository.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { hangs, drops } from '../support/fake-s3-faults.ts';
import { built } from '../support/hook.ts';
import { callHook } from '../support/hook-call.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { controlFile, PretendCluster } from '../support/pretend-cluster.ts';
import { isAlive } from '../support/process-tree.ts';
import { filedWal } from '../support/repository-files.ts';
import { run, type RunOptions, type RunResult } from '../support/run.ts';
import { waitFor } from '../support/wait-for.ts';
import { workersOf } from '../support/workers.ts';

let place: Place;
let cluster: PretendCluster;
let repository: string;

beforeEach(async () => {
  place = await Place.create('worker', 'current user');
  cluster = await PretendCluster.create(join(place.path, 'data'));
  await mkdir(join(cluster.path, 'pg_wal/archive_status'));
  // This process plays the server: what it calls is called by a postmaster.
  await cluster.pretendToRun();
  repository = join(place.path, 'repo');
});
afterEach(async () => {
  await rm(join(cluster.path, 'postmaster.pid'), { force: true });
  await waitFor(() => workers().length === 0, { what: 'the worker to end', deadlineMs: 10_000 });
  await place[Symbol.asyncDispose]();
});

const spool = (): string => join(cluster.path, 'pg_wal/pgsql_tmp.walhold');
const workers = (): number[] => workersOf(cluster.path);
const push = async (segno: number, words: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> =>
  await callHook('walhold-push', cluster, ['--repo', `file://${repository}`, ...words, walPath(segno)], options);
const walPath = (segno: number): string => `pg_wal/${nameOf(segno)}`;

/** Complete segments that wait for the archiver. */
async function ready(...segnos: number[]): Promise<void> {
  for (const segno of segnos) {
    await cluster.putSegment(segno);
    await cluster.put(`pg_wal/archive_status/${nameOf(segno)}.ready`, '');
  }
}

/** As the archiver does when a call said 0. */
async function done(segno: number): Promise<void> {
  const status = join(cluster.path, 'pg_wal/archive_status', nameOf(segno));
  await rename(`${status}.ready`, `${status}.done`);
}

const isStored = (segno: number): boolean =>
  existsSync(join(repository, `wal/00000001/0000000100000000/${nameOf(segno)}.zst`));

/** The names that the worker has answers for. */
function answers(): string[] {
  const folder = readdirSync(spool()).find((name) => name.startsWith('push-'));
  const names = folder === undefined ? [] : readdirSync(join(spool(), folder));
  return names.filter((name) => /^[0-9A-F]{24}$/.test(name)).toSorted();
}

/** The first call starts the worker; returns once that serves. */
async function startServing(words: readonly string[] = []): Promise<void> {
  await ready(4);
  expect(await push(4, words)).toMatchObject({ status: 0, stderr: '', heldOpen: false });
  await done(4);
  await waitFor(() => existsSync(join(spool(), 'push')), { what: 'the worker to serve', deadlineMs: 15_000 });
}

async function gone(): Promise<void> {
  await waitFor(() => workers().length === 0, { what: 'the worker to end', deadlineMs: 10_000 });
}

async function ended(): Promise<void> {
  await gone();
  expect(existsSync(join(spool(), 'push'))).toBe(false);
}

/** Every file in the spool, with what is in it. */
async function spoolFiles(): Promise<Record<string, string>> {
  const entries = await readdir(spool(), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(await Promise.all(files.map(async (path) => [path, await readFile(path, 'latin1')])));
}

describe('a worker', () => {
  it('is started by the first push, and stores what is ready before it is asked for', async () => {
    await startServing();
    await ready(5, 6, 7);
    await waitFor(() => answers().length === 3, { what: 'three answers', deadlineMs: 15_000 });
    for (const segno of [5, 6, 7]) {
      expect(isStored(segno)).toBe(true);
      // A program that cannot run shows that none did.
      expect(await push(segno, [], { env: { NODE_OPTIONS: '--no-such-option' } })).toMatchObject({
        status: 0,
        stderr: '',
      });
      await done(segno);
    }
    await waitFor(() => answers().length === 0, { what: 'the answers to be forgotten' });
    expect(workers()).toHaveLength(1);
  });

  it('runs so that memory can be given back', async () => {
    await startServing();
    const [pid] = workers();
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(environment).toEqual(
      expect.arrayContaining(['MALLOC_ARENA_MAX=2', 'MALLOC_MMAP_THRESHOLD_=262144', 'MALLOC_TRIM_THRESHOLD_=131072']),
    );
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')).toContain('--expose-gc');
  });

  it('is waited for by a call that comes before its answer', async () => {
    await startServing();
    await ready(5);
    expect(await push(5, [], { env: { NODE_OPTIONS: '--no-such-option' } })).toMatchObject({ status: 0, stderr: '' });
  });

  it('stores history files, too', async () => {
    await startServing();
    await cluster.put('pg_wal/00000002.history', '1\t0/500100\twhy\n');
    await cluster.put('pg_wal/archive_status/00000002.history.ready', '');
    await ready(5);
    const stored = async (): Promise<boolean> => (await filedWal(repository)).includes('00000002.history.zst');
    await waitFor(async () => isStored(5) && (await stored()), { what: 'both to be stored', deadlineMs: 15_000 });
  });

  it.each([['push_ahead'], ['worker_idle']])('is not started with %s = 0', async (setting) => {
    await ready(5);
    const words = [`--${setting.replace('_', '-')}`, '0'];
    expect(await push(5, words)).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(spool()).filter((name) => !name.startsWith('known-'))).toEqual([]);
    expect(workers()).toEqual([]);
  });

  it('is there when the first push ends, and leaves that file to it', async () => {
    await ready(4, 5);
    const started = await push(4);
    expect(started).toMatchObject({ status: 0, stderr: '' });
    expect(existsSync(join(spool(), 'push'))).toBe(true);
    await waitFor(() => isStored(5), { what: 'the next file to be stored' });
    await waitFor(() => answers().includes(nameOf(5)), { what: 'the answer' });
    expect(answers()).toEqual([nameOf(5)]);
  });

  it('is not started again and again by a push that fails', async () => {
    await ready(4);
    await writeFile(repository, 'not a directory');
    expect(await push(4)).toMatchObject({ status: 1 });
    const [first] = workers();
    if (first !== undefined) process.kill(first, 'SIGKILL');
    await gone();
    expect(await push(4)).toMatchObject({ status: 1 });
    expect(workers()).toEqual([]);
  });

  it('is not started by whoever is no server, or asks otherwise', async () => {
    await ready(5);
    await cluster.pretendToRun(4_194_304);
    expect(await push(5)).toMatchObject({ status: 0, stderr: '' });
    await cluster.pretendToRun();
    const absolute = ['--repo', `file://${repository}`, join(cluster.path, walPath(5))];
    expect(await callHook('walhold-push', cluster, absolute)).toMatchObject({ status: 0, stderr: '' });
    expect(await callHook('walhold-push', cluster, absolute, { cwd: '/' })).toMatchObject({ status: 0, stderr: '' });
    expect(workers()).toEqual([]);
  });

  it('is never two', async () => {
    await startServing();
    const [first] = workers();
    const root = dirname(dirname(await built('walhold-push')));
    const node = readlinkSync(`/proc/${first}/exe`);
    const second = await run([node, join(root, 'dist/worker.js'), cluster.path], { timeoutMs: 10_000 });
    expect(second.timedOut).toBe(false);
    expect(workers()).toEqual([first]);
    await ready(5);
    expect(await push(5)).toMatchObject({ status: 0, stderr: '' });
  });

  it('that is killed leaves the call its work, and the next one is started', async () => {
    await startServing();
    const [first = 0] = workers();
    process.kill(first, 'SIGKILL');
    await waitFor(() => !isAlive(first), { what: 'its end' });
    await ready(5);
    expect(await push(5)).toMatchObject({ status: 0, stderr: '' });
    await done(5);
    await waitFor(() => workers().length === 1, { what: 'another worker' });
    await ready(6);
    await waitFor(() => isStored(6), { what: 'the next segment' });
    expect(readdirSync(spool()).filter((name) => name.startsWith('push-'))).toHaveLength(1);
  });

  it('leaves true answers when it is killed', async () => {
    await startServing();
    await ready(5);
    await waitFor(() => answers().length === 1, { what: 'the answer' });
    process.kill(workers()[0] ?? 0, 'SIGKILL');
    await waitFor(() => workers().length === 0, { what: 'its end' });
    expect(await push(5, [], { env: { NODE_OPTIONS: '--no-such-option' } })).toMatchObject({ status: 0, stderr: '' });
    expect(isStored(5)).toBe(true);
  });
});

describe('a worker ends', () => {
  beforeEach(async () => await startServing());

  const ABANDONED: [string, () => Promise<void>][] = [
    ['with its server', async () => await unlink(join(cluster.path, 'postmaster.pid'))],
    ['when another run of it began', async () => await cluster.pretendToRun(process.pid, 1_700_000_001)],
    ['when its server died without a word', async () => await cluster.pretendToRun(4_194_304)],
    [
      'when another cluster lies there',
      async () => void (await cluster.put('global/pg_control', controlFile(SYSTEM_ID + 1n, 1024 * 1024))),
    ],
  ];
  it.each(ABANDONED)(
    '%s, and touches nothing there any more, since somebody may be removing it',
    async (_, happens) => {
      await ready(5);
      await waitFor(() => answers().length === 1, { what: 'the answer' });
      const before = await spoolFiles();
      await happens();
      await gone();
      expect(await spoolFiles()).toEqual(before);
    },
  );

  it('and the next one clears away what it left', async () => {
    const [left = ''] = readdirSync(spool()).filter((name) => name.startsWith('push-'));
    await rename(join(spool(), left), join(spool(), left.replace('push', 'fetch')));
    await cluster.pretendToRun(process.pid, 1_700_000_001);
    await gone();
    await startServing();
    const folders = (): string[] => readdirSync(spool()).filter((name) => /^(push|fetch)-/.test(name));
    await waitFor(() => folders().every((name) => name.startsWith('push-')), { what: 'the old ones to go' });
    expect(folders()).toHaveLength(1);
  });

  const CASES: [string, () => Promise<void>][] = [
    [
      'when a call comes with other settings',
      async () => {
        await ready(5);
        expect(await push(5, ['--compress-level', '2'])).toMatchObject({ status: 0 });
      },
    ],
    [
      'when a call comes from another environment',
      async () => {
        await ready(5);
        expect(await push(5, [], { env: { AWS_ACCESS_KEY_ID: 'other' } })).toMatchObject({ status: 0 });
      },
    ],
  ];
  it.each(CASES)('%s', async (_, happens) => {
    await happens();
    await ended();
  });

  it('when its data directory is moved away', async () => {
    await rename(cluster.path, `${cluster.path}.old`);
    await waitFor(() => workers().length === 0, { what: 'the worker to end', deadlineMs: 10_000 });
    await rename(`${cluster.path}.old`, cluster.path);
  });

  it('when its data directory is removed', async () => {
    await rm(cluster.path, { recursive: true, maxRetries: 10 });
    await waitFor(() => workers().length === 0, { what: 'the worker to end', deadlineMs: 10_000 });
    expect(existsSync(cluster.path)).toBe(false);
  });

  it('when it is told to, and takes its answers with it', async () => {
    process.kill(workers()[0] ?? 0, 'SIGTERM');
    await ended();
    expect(readdirSync(spool()).filter((name) => name.startsWith('push'))).toEqual([]);
  });
});

it('a worker ends when the configuration file changes, and the next call has one with the new settings', async () => {
  const config = await place.file('walhold.conf', `repo = 'file://${repository}'\n`);
  const call = async (segno: number): Promise<RunResult> =>
    await callHook('walhold-push', cluster, ['--config', config, walPath(segno)]);
  await ready(5);
  expect(await call(5)).toMatchObject({ status: 0, stderr: '' });
  await done(5);
  await waitFor(() => existsSync(join(spool(), 'push')), { what: 'the worker to serve', deadlineMs: 15_000 });
  await writeFile(config, `repo = 'file://${repository}2'\n`);
  // However old the file claims to be.
  await utimes(config, 1_600_000_000, 1_600_000_000);
  await ready(6);
  expect(await call(6)).toMatchObject({ status: 0, stderr: '' });
  expect(existsSync(`${repository}2/walhold.json`)).toBe(true);
});

it('a worker ends when it was idle for worker_idle', async () => {
  await startServing(['--worker-idle', '1s']);
  await ended();
});

describe('a worker as a guest', () => {
  it('keeps nothing open that its caller had open, nor does the shell above it', async () => {
    await ready(5);
    const opened = `exec 3<PG_VERSION 4<>postmaster.pid 7<global/pg_control`;
    const line = `${opened}; "$@" | cat`;
    const words = [await built('walhold-push'), '--repo', `file://${repository}`, walPath(5)];
    // A pipe of two digits, as a server's logger has it, and files there: only bash opens those.
    const argv = ['bash', '-c', `exec 17<PG_VERSION 23> >(cat >/dev/null); ${line}`, 'sh', ...words];
    expect(await run(argv, { cwd: cluster.path })).toMatchObject({ status: 0, stderr: '', heldOpen: false });
    await waitFor(() => workers().length === 1, { what: 'the worker', deadlineMs: 15_000 });
    await waitFor(() => existsSync(join(spool(), 'push')), { what: 'the worker to serve', deadlineMs: 15_000 });
    const [pid = 0] = workers();
    const shell = Number(/^PPid:\s(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    for (const each of [pid, shell]) {
      const others = (): [string, string][] =>
        openFiles(each).filter(([, target]) => /^\/(?!dev\/)/.test(target) && target !== join(spool(), 'worker.log'));
      // It opens files itself now and then, for a moment.
      await waitFor(() => others().length === 0, { what: 'only the log to be open', deadlineMs: 5_000 });
      expect(readlinkSync(`/proc/${each}/cwd`)).toBe('/');
    }
    // Pipes of its own have both ends in it.
    const pipes = openFiles(pid).filter(([, target]) => target.startsWith('pipe:'));
    for (const [, pipe] of pipes) expect(pipes.filter(([, other]) => other === pipe)).toHaveLength(2);
    expect(openFiles(shell).filter(([, target]) => target.startsWith('pipe:'))).toEqual([]);
    expect(existsSync(join(spool(), 'worker.log'))).toBe(true);
  });

  it('lives on when its caller and all of its process group are gone', async () => {
    await ready(5);
    const words = [await built('walhold-push'), '--repo', `file://${repository}`, walPath(5)];
    const child = spawn(words[0] ?? '', words.slice(1), { cwd: cluster.path, detached: true, stdio: 'ignore' });
    await new Promise((resolve) => child.once('exit', resolve));
    await waitFor(() => existsSync(join(spool(), 'push')), { what: 'the worker to serve', deadlineMs: 15_000 });
    const [pid = 0] = workers();
    expect(Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ')[5])).not.toBe(child.pid);
    expect(isAlive(pid)).toBe(true);
  });

  it('leaves nothing but regular files and directories in the data directory', async () => {
    await startServing();
    await ready(5);
    await waitFor(() => answers().length === 1, { what: 'the answer' });
    const { stdout } = await run(['find', cluster.path, '!', '-type', 'f', '!', '-type', 'd']);
    expect(stdout).toBe('');
  });
});

describe('while the store is down', () => {
  let fake: FakeS3;
  beforeEach(async () => {
    fake = await FakeS3.start();
    fake.makeBucket('bucket');
  });
  afterEach(async () => await fake[Symbol.asyncDispose]());

  const call = async (segno: number, words: readonly string[] = []): Promise<RunResult> => {
    const settings = ['--s3-endpoint', fake.endpoint, '--s3-path-style', 'on', '--s3-region', fake.region];
    const env = { AWS_ACCESS_KEY_ID: fake.accessKey, AWS_SECRET_ACCESS_KEY: fake.secretKey };
    const argv = ['--repo', 's3://bucket/x', ...settings, '--push-timeout', '2s', ...words, walPath(segno)];
    return await callHook('walhold-push', cluster, argv, { env, timeoutMs: 30_000 });
  };

  // One that drops connections is postgres/worker-outage's in CI.
  describe.each([['hangs', hangs, true] as const, ['drops connections', drops, LONG] as const])(
    'that %s',
    (_, fault, inCi) => {
      it.runIf(inCi)(
        'lets calls fail in time, and when it is back the worker stores what is ready without being asked',
        async () => {
          await ready(4);
          expect(await call(4)).toMatchObject({ status: 0, stderr: '' });
          await done(4);
          await waitFor(() => existsSync(join(spool(), 'push')), { what: 'the worker to serve', deadlineMs: 15_000 });
          fake.fail(fault, { times: 100_000 });
          await ready(5, 6, 7);
          for (let at = 0; at < 3; at += 1) {
            const result = await call(5);
            expect(result.status).toBe(1);
            expect(result.stderr).toContain(`error: could not store ${nameOf(5)}`);
            expect(result.elapsedMs).toBeLessThan(6000);
          }
          fake.forget();
          await waitFor(() => answers().length === 3, { what: 'all answers', deadlineMs: 20_000 });
          expect(await call(5)).toMatchObject({ status: 0, stderr: '' });
        },
      );
    },
  );
});

describe('in recovery a worker', () => {
  const TARGET = 'pg_wal/RECOVERYXLOG';
  const NO_PROGRAM = { env: { NODE_OPTIONS: '--no-such-option' } };

  beforeEach(async () => {
    for (const segno of [4, 5, 6, 7, 8]) {
      await cluster.putSegment(segno);
      expect(await push(segno, ['--push-ahead', '0'])).toMatchObject({ status: 0 });
      await unlink(join(cluster.path, walPath(segno)));
    }
    await cluster.put('recovery.signal', '');
  });

  const fetch = async (segno: number, words: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> => {
    const argv = ['--repo', `file://${repository}`, '--gap-grace', '0', ...words, nameOf(segno), TARGET];
    return await callHook('walhold-fetch', cluster, argv, options);
  };
  const isInPlace = async (segno: number): Promise<boolean> => {
    const bytes = await readFile(join(cluster.path, TARGET));
    await unlink(join(cluster.path, TARGET));
    return bytes.equals(segmentBytes(segno));
  };
  /** The segments that are here. */
  const fetched = (): string[] => {
    const folder = readdirSync(spool()).find((name) => name.startsWith('fetch-'));
    const names = folder === undefined ? [] : readdirSync(join(spool(), folder));
    // The second name of what a call has taken stays for a moment.
    const free = names.filter((name) => !names.includes(`${name}.taken`));
    return free.filter((name) => /^[0-9A-F]{24}$/.test(name)).toSorted();
  };
  const startFetching = async (words: readonly string[] = []): Promise<void> => {
    expect(await fetch(4, words)).toMatchObject({ status: 0, stderr: '', heldOpen: false });
    expect(await isInPlace(4)).toBe(true);
    await waitFor(() => existsSync(join(spool(), 'fetch')), { what: 'the worker to serve', deadlineMs: 15_000 });
  };

  it('brings what is asked for next, and leaves the end of WAL to the call', async () => {
    await startFetching();
    await waitFor(() => fetched().length === 4, { what: 'four segments', deadlineMs: 15_000 });
    for (const segno of [5, 6, 7, 8]) {
      expect(await fetch(segno, [], NO_PROGRAM)).toMatchObject({ status: 0, stderr: '' });
      expect(await isInPlace(segno)).toBe(true);
    }
    expect(await fetch(9)).toMatchObject({ status: 1, stderr: '' });
  });

  it('keeps no more ready than fetch_ahead', async () => {
    await startFetching(['--fetch-ahead', '2MB']);
    await waitFor(() => fetched().length === 2, { what: 'two segments', deadlineMs: 15_000 });
    expect(await fetch(5, ['--fetch-ahead', '2MB'], NO_PROGRAM)).toMatchObject({ status: 0 });
    await waitFor(() => fetched().includes(nameOf(7)), { what: 'the next one' });
    expect(fetched()).toEqual([nameOf(6), nameOf(7)]);
  });

  it.each([['fetch_ahead'], ['worker_idle']])('is not started with %s = 0', async (setting) => {
    expect(await fetch(4, [`--${setting.replace('_', '-')}`, '0'])).toMatchObject({ status: 0, stderr: '' });
    expect(workers()).toEqual([]);
  });

  it('brings nothing beyond a hole, which the call finds', async () => {
    await rm(join(repository, `wal/00000001/0000000100000000/${nameOf(6)}.zst`), { force: true });
    // Several at a time may be beyond it before it is known.
    await startFetching(['--jobs', '1']);
    await waitFor(() => fetched().length === 1, { what: 'one segment', deadlineMs: 15_000 });
    expect(await fetch(5, ['--jobs', '1'], NO_PROGRAM)).toMatchObject({ status: 0 });
    const result = await fetch(6, ['--jobs', '1']);
    expect(result.status).toBe(200);
    expect(result.stderr).toContain(`error: ${nameOf(6)} is missing in every repository, but WAL goes on behind it`);
  });

  it('brings nothing that is damaged', async () => {
    const path = join(repository, `wal/00000001/0000000100000000/${nameOf(6)}.zst`);
    await chmod(path, 0o600);
    const bytes = await readFile(path);
    bytes[bytes.length - 10] = (bytes[bytes.length - 10] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await startFetching(['--jobs', '1']);
    await waitFor(() => fetched().length === 1, { what: 'one segment', deadlineMs: 15_000 });
    expect(await fetch(5, ['--jobs', '1'], NO_PROGRAM)).toMatchObject({ status: 0 });
    expect(await isInPlace(5)).toBe(true);
    const result = await fetch(6, ['--jobs', '1']);
    expect(result.status).toBe(200);
    expect(existsSync(join(cluster.path, TARGET))).toBe(false);
  });

  it('goes where the calls go', async () => {
    await startFetching(['--fetch-ahead', '1MB']);
    await waitFor(() => fetched().length === 1, { what: 'one segment', deadlineMs: 15_000 });
    expect(await fetch(7, ['--fetch-ahead', '1MB'])).toMatchObject({ status: 0 });
    await waitFor(() => fetched().includes(nameOf(8)), { what: 'the one behind it' });
    expect(fetched()).toEqual([nameOf(8)]);
  });

  it('ends with the recovery, or when there are other timelines, and calls look for themselves at once', async () => {
    await startFetching();
    await waitFor(() => fetched().length === 4, { what: 'four segments', deadlineMs: 15_000 });
    await cluster.put('pg_wal/00000002.history', '1\t0/500100\twhy\n');
    const result = await fetch(5);
    expect(result.status).toBe(200);
    expect(result.stderr).toContain('lies behind the fork to timeline 2, of which no segment is stored');
    await waitFor(() => workers().length === 0, { what: 'the worker to end' });
    await unlink(join(cluster.path, 'pg_wal/00000002.history'));
    await startFetching();
    await unlink(join(cluster.path, 'recovery.signal'));
    await waitFor(() => workers().length === 0, { what: 'the worker to end' });
    expect(readdirSync(spool()).filter((name) => name.startsWith('fetch'))).toEqual([]);
  });
});

/** What a process has open: descriptor and target. */
function openFiles(pid: number): [string, string][] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd): [string, string][] => {
    try {
      return [[fd, readlinkSync(`/proc/${pid}/fd/${fd}`)]];
    } catch {
      return [];
    }
  });
}
