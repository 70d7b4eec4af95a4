import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LONG } from '../support/effort.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { answers, cutsBody, drops, hangs, losesAnswer, type Fault } from '../support/fake-s3-faults.ts';
import { built } from '../support/hook.ts';
import { callHook } from '../support/hook-call.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { PretendCluster } from '../support/pretend-cluster.ts';
import { plainEnvironment, type RunResult } from '../support/run.ts';
import { waitFor } from '../support/wait-for.ts';

/** More often than any call asks. */
const ALWAYS = 100_000;
const REFUSED = answers(403, 'AccessDenied');
const BUSY = answers(503, 'SlowDown');

let place: Place;
let cluster: PretendCluster;
let fake: FakeS3;
let target: string;

beforeEach(async () => {
  place = await Place.create('outage');
  cluster = await PretendCluster.create(join(place.path, 'data'));
  target = join(cluster.path, 'pg_wal/RECOVERYXLOG');
  fake = await FakeS3.start();
  fake.makeBucket('bucket');
});
afterEach(async () => {
  await fake[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const settings = (): string[] =>
  Object.entries({
    '--repo': 's3://bucket/cluster',
    '--s3-endpoint': fake.endpoint,
    '--s3-path-style': 'on',
    '--s3-region': fake.region,
    '--gap-grace': '0',
  }).flat();
const call = async (hook: 'walhold-push' | 'walhold-fetch', words: readonly string[]): Promise<RunResult> =>
  await callHook(hook, cluster, [...settings(), ...words], {
    env: { AWS_ACCESS_KEY_ID: fake.accessKey, AWS_SECRET_ACCESS_KEY: fake.secretKey },
    timeoutMs: 30_000,
  });
const push = async (segno: number, ...words: string[]): Promise<RunResult> =>
  await call('walhold-push', [...words, await cluster.putSegment(segno)]);
const fetchFile = async (name: string, ...words: string[]): Promise<RunResult> =>
  await call('walhold-fetch', [...words, name, 'pg_wal/RECOVERYXLOG']);
const isInPlace = async (segno: number): Promise<boolean> =>
  existsSync(target) && (await readFile(target)).equals(segmentBytes(segno));
const fail = (fault: Fault, times = ALWAYS): void => fake.fail(fault, { times });

describe('a push', () => {
  it('stores, and stores the same again without sending it to be kept', async () => {
    expect(await push(5)).toMatchObject({ status: 0, stderr: '' });
    expect(await push(5)).toMatchObject({ status: 0, stderr: '' });
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 0, stderr: '' });
    expect(await isInPlace(5)).toBe(true);
  });

  it.each<[string, Fault]>([
    ['busy', BUSY],
    ['dropping connections', drops],
    ['losing its answers', losesAnswer],
  ])('gets through to a store that is %s for a while', async (_, fault) => {
    fail(fault, 4);
    expect(await push(5)).toMatchObject({ status: 0 });
    expect(fake.allFaultsMet).toBe(true);
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 0 });
  });

  it('to a store that is down fails at its deadline, and the next ones within 5 s, until it is back', async () => {
    expect(await push(4)).toMatchObject({ status: 0 });
    fail(hangs);
    const first = await push(5, '--push-timeout', '1s');
    expect(first.status).toBe(1);
    expect(first.stderr).toContain(`error: could not store ${nameOf(5)} in s3://bucket/cluster`);
    const next = await push(5, '--push-timeout', '60s');
    expect(next.status).toBe(1);
    expect(next.elapsedMs).toBeLessThan(5000);
    fake.forget();
    expect(await push(5)).toMatchObject({ status: 0, stderr: '' });
    expect(await push(6)).toMatchObject({ status: 0, stderr: '' });
  });

  it('within 5 s fails too where only uploads hang', async () => {
    expect(await push(4)).toMatchObject({ status: 0 });
    fake.fail(hangs, { operation: 'PutObject', times: ALWAYS });
    expect(await push(5, '--push-timeout', '1s')).toMatchObject({ status: 1 });
    const next = await push(5, '--push-timeout', '60s');
    expect(next.status).toBe(1);
    expect(next.elapsedMs).toBeLessThan(5000);
  });

  it('is refused at once where the credentials are', async () => {
    fail(REFUSED);
    const result = await push(5, '--push-timeout', '60s');
    expect(result.status).toBe(1);
    expect(result.elapsedMs).toBeLessThan(5000);
    expect(result.stderr).toContain('hint: ');
  });
});

describe('in archive recovery a fetch', () => {
  beforeEach(async () => {
    expect(await push(5)).toMatchObject({ status: 0 });
  });

  it.each<[string, Fault]>([
    ['busy', BUSY],
    ['dropping connections', drops],
    ['breaking off within the file', cutsBody(100)],
  ])('keeps trying a store that is %s until it works', async (_, fault) => {
    fail(fault, 12);
    const found = await fetchFile(nameOf(5), '--unreachable-timeout', '0');
    expect(found).toMatchObject({ status: 0 });
    expect(await isInPlace(5)).toBe(true);
    fail(fault, 12);
    expect(await fetchFile(nameOf(6), '--unreachable-timeout', '0')).toMatchObject({ status: 1 });
    expect(fake.allFaultsMet).toBe(true);
  });

  it('waits for one that does not answer, saying so, until the server that asks is gone', async () => {
    fail(hangs);
    // The shell plays the server: it leaves its number where a postmaster does, and is killed while it waits.
    const server = `printf '%s\\n' $$ "$PWD" 1700000000 >postmaster.pid; "$@" 2>log; :`;
    const words = [...settings(), '--request-timeout', '200ms', nameOf(6), 'pg_wal/RECOVERYXLOG'];
    const child = spawn('sh', ['-c', server, 'sh', await built('walhold-fetch'), ...words], {
      cwd: cluster.path,
      env: { ...plainEnvironment(), AWS_ACCESS_KEY_ID: fake.accessKey, AWS_SECRET_ACCESS_KEY: fake.secretKey },
      stdio: 'ignore',
    });
    const log = join(cluster.path, 'log');
    const logged = async (text: string): Promise<boolean> =>
      (await readFile(log, 'utf8').catch(() => '')).includes(text);
    await waitFor(() => logged(`warning: waiting for ${nameOf(6)}: `), { what: 'the warning', deadlineMs: 10_000 });
    child.kill('SIGKILL');
    await waitFor(() => logged('error: whoever asked for the file is gone'), { what: 'the end', deadlineMs: 15_000 });
  });

  it('stops recovery at once where the credentials are refused', async () => {
    fail(REFUSED);
    const result = await fetchFile(nameOf(6));
    expect(result).toMatchObject({ status: 200 });
    expect(result.elapsedMs).toBeLessThan(5000);
  });

  it('with on_unreachable = stop gives up after the budget with 200, with absent with 1', async () => {
    fail(hangs);
    const words = ['--unreachable-timeout', '1s', '--on-unreachable'];
    expect(await fetchFile(nameOf(6), ...words, 'stop')).toMatchObject({ status: 200, timedOut: false });
    const absent = await fetchFile(nameOf(6), ...words, 'absent');
    expect(absent).toMatchObject({ status: 1 });
    expect(absent.stderr).toContain(`error: going on without ${nameOf(6)}`);
    fake.forget();
    fail(REFUSED);
    expect(await fetchFile(nameOf(6), ...words, 'absent')).toMatchObject({ status: 200 });
  });

  it('leaves a history file that lies in pg_wal to the server', async () => {
    await cluster.put('pg_wal/00000002.history', '1\t0/500100\twhy\n');
    fail(hangs);
    const result = await fetchFile('00000002.history');
    expect(result.status).toBe(1);
    expect(result.elapsedMs).toBeLessThan(5000);
    expect(result.stderr).toContain('warning: could not look for 00000002.history');
    expect((await fetchFile('00000001.history')).stderr).toBe('');
  });

  it('serves from a repository that answers while another is down, but concludes nothing from one', async () => {
    const second = join(place.path, 'second');
    const words = ['--repo2', `file://${second}`];
    expect(await push(6, ...words)).toMatchObject({ status: 0 });
    fail(drops);
    expect(await fetchFile(nameOf(6), ...words)).toMatchObject({ status: 0 });
    const stop = ['--on-unreachable', 'stop', '--unreachable-timeout', '0'];
    expect(await fetchFile(nameOf(7), ...words, ...stop)).toMatchObject({ status: 200 });
    await rm(second, { recursive: true });
    expect(await fetchFile(nameOf(6), ...words, ...stop)).toMatchObject({ status: 200 });
  });

  it('asks the next repository when the first takes long', async () => {
    const words = ['--repo2', `file://${join(place.path, 'second')}`];
    expect(await push(6, ...words)).toMatchObject({ status: 0 });
    fail(hangs);
    const result = await fetchFile(nameOf(6), ...words);
    expect(result).toMatchObject({ status: 0 });
    expect(result.elapsedMs).toBeLessThan(6000);
  });
});

describe('in a standby a fetch', () => {
  const budget = ['--unreachable-timeout', '1s'];

  beforeEach(async () => {
    expect(await push(5)).toMatchObject({ status: 0 });
    await cluster.put('standby.signal', '');
    await cluster.pretendToRun();
  });

  // A recovery's fetches meet one that drops connections in CI, too.
  describe.each<[string, Fault, boolean]>([
    ['hangs', hangs, true],
    ['is busy', BUSY, true],
    ['drops connections', drops, LONG],
  ])('from a store that %s', (_, fault, inCi) => {
    it.runIf(inCi)('waits once, then answers 1 within 2 s until it is back', async () => {
      fail(fault);
      const first = await fetchFile(nameOf(5), ...budget);
      expect(first).toMatchObject({ status: 1 });
      expect(first.elapsedMs).toBeGreaterThan(1000);
      expect(first.stderr).toContain(`error: going on without ${nameOf(5)}`);
      for (const name of [nameOf(5), '00000002.history']) {
        const next = await fetchFile(name, ...budget);
        expect(next).toMatchObject({ status: 1 });
        expect(next.elapsedMs).toBeLessThan(2000);
      }
      fake.forget();
      expect(await fetchFile(nameOf(5), ...budget)).toMatchObject({ status: 0, stderr: '' });
      fail(fault);
      expect((await fetchFile(nameOf(5), ...budget)).elapsedMs).toBeGreaterThan(1000);
    });
  });

  it('is still answered so when the promotion has removed standby.signal, but not after a restart', async () => {
    fail(hangs);
    expect(await fetchFile(nameOf(5), ...budget)).toMatchObject({ status: 1 });
    await rm(join(cluster.path, 'standby.signal'));
    const last = await fetchFile('00000001.history');
    expect(last).toMatchObject({ status: 1 });
    const other = await fetchFile('00000002.history', ...budget);
    expect(other).toMatchObject({ status: 1 });
    expect(other.elapsedMs).toBeLessThan(2000);
    await cluster.pretendToRun(process.pid, 1_700_000_001);
    expect(await fetchFile(nameOf(5), ...budget, '--on-unreachable', 'stop')).toMatchObject({ status: 200 });
  });

  it('goes on at once, loudly, where the credentials are refused', async () => {
    fail(REFUSED);
    const result = await fetchFile(nameOf(5));
    expect(result).toMatchObject({ status: 1 });
    expect(result.elapsedMs).toBeLessThan(5000);
    expect(result.stderr).toContain('error: going on without');
  });

  it.each<[string, Fault]>([
    ['a redirection to another region', answers(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1' })],
    ['a signature for the wrong region', answers(400, 'AuthorizationHeaderMalformed')],
  ])('stops with 200 at a wrong setting: %s', async (_, fault) => {
    fail(fault);
    const result = await fetchFile(nameOf(5), ...budget);
    expect(result).toMatchObject({ status: 200 });
    expect(result.elapsedMs).toBeLessThan(5000);
    expect(result.stderr).toMatch(/hint: .*s3_region/);
    expect(result.stderr).not.toContain('going on');
  });

  it('stops with 200 where there are no credentials at all, or no certificates that were named', async () => {
    const nobody = { env: { AWS_EC2_METADATA_DISABLED: 'true' }, timeoutMs: 30_000 };
    const missing = await callHook('walhold-fetch', cluster, [...settings(), nameOf(5), 'pg_wal/RECOVERYXLOG'], nobody);
    expect(missing).toMatchObject({ status: 200 });
    expect(missing.stderr).toContain('error: there are no credentials for S3');
    expect(await fetchFile(nameOf(5), '--s3-ca-file', '/nonexistent')).toMatchObject({ status: 200 });
  });

  it('takes from one repository what another, which is set up wrong, cannot give, but concludes nothing', async () => {
    const words = ['--repo2', `file://${join(place.path, 'second')}`];
    expect(await push(6, ...words)).toMatchObject({ status: 0 });
    const wrong = [...words, '--s3-ca-file', '/nonexistent', ...budget];
    const found = await fetchFile(nameOf(6), ...wrong);
    expect(found).toMatchObject({ status: 0 });
    expect(found.stderr).toContain('warning: could not read');
    expect(await fetchFile(nameOf(7), ...wrong)).toMatchObject({ status: 200 });
  });

  it('with on_unreachable = stop stops after the budget', async () => {
    fail(hangs);
    expect(await fetchFile(nameOf(5), ...budget, '--on-unreachable', 'stop')).toMatchObject({ status: 200 });
  });
});
