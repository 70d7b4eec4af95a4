import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CheckJson } from '../../src/commands/check.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { FileRepository, SYSTEM_ID } from '../support/file-repository.ts';
import { built } from '../support/hook.ts';
import { nameOf, putSegments } from '../support/made-segments.ts';
import { plainEnvironment, run, type RunResult } from '../support/run.ts';

let walhold: string;
let stored: FileRepository;

beforeAll(async () => {
  walhold = await built('walhold');
  stored = await FileRepository.create();
  await putSegments(stored, 3, 6);
});
afterAll(async () => await stored[Symbol.asyncDispose]());

const call = async (argv: readonly string[], env: Record<string, string> = {}): Promise<RunResult> =>
  await run([walhold, ...argv], { env, timeoutMs: 60_000 });

describe('the built companion', () => {
  it('ends with 0, 1 or 2, results on stdout and all else on stderr', async () => {
    const repo = ['--repo', `file://${stored.root}`];
    const good = await call(['wal', 'list', ...repo]);
    expect(good).toMatchObject({ status: 0, stderr: '' });
    expect(good.stdout.trimEnd().split('\n')).toHaveLength(4);
    const failed = await call(['list', '--repo', `file://${stored.root}-gone`]);
    expect(failed).toMatchObject({ status: 1, stdout: '' });
    expect(failed.stderr).toMatch(/^walhold: error: .+\nwalhold: detail: .+|^walhold: error: .+\nwalhold: hint: .+/);
    const wrong = await call(['lsit', ...repo]);
    expect(wrong).toMatchObject({ status: 2, stdout: '' });
  });

  it('takes settings from the environment, and logs JSON when told to', async () => {
    const env = {
      WALHOLD_REPO: `file://${stored.root}-gone`,
      WALHOLD_REPO2: `file://${stored.root}`,
      WALHOLD_LOG_FORMAT: 'json',
    };
    const { status, stdout, stderr } = await call(['list', '--json'], env);
    expect(JSON.parse(stdout)).toMatchObject({ backups: [], gaps: [] });
    const [line = ''] = stderr.split('\n');
    expect(JSON.parse(line)).toMatchObject({ level: 'warning', program: 'walhold' });
    expect(status).toBe(1);
  });

  it('ends by SIGPIPE, quietly and soon, when nobody reads its result to the end', async () => {
    const head = `"$0" wal list --repo "$1" | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await run(['bash', '-c', head, walhold, `file://${stored.root}`]);
    // So few lines may all fit into the pipe.
    expect(stdout).toMatch(new RegExp(`^${nameOf(3)} .*\\n(0|141)\\n$`));
    expect(stderr).toBe('');
    const closed = `exec 3> >(exit); wait $!; "$0" wal list --repo "$1" >&3; echo $?; trap '' PIPE; "$0" --help >&3; echo $?`;
    expect(await run(['bash', '-c', closed, walhold, `file://${stored.root}`])).toMatchObject({
      stdout: '141\n1\n',
      stderr: '',
    });
  });

  it('fails when its result cannot be written', async () => {
    const script = `"$0" wal list --repo "$1" > /dev/full`;
    const { status, stderr } = await run(['sh', '-c', script, walhold, `file://${stored.root}`]);
    expect(stderr).toContain('walhold: error: could not write the result');
    expect(status).toBe(1);
  });

  it('gives up on a store that refuses connections within seconds, as an outage and not as emptiness', async () => {
    const env = { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y' };
    const s3 = ['--repo', 's3://bucket/x', '--s3-endpoint', 'http://127.0.0.1:9', '--s3-region', 'us-east-1'];
    const { status, stderr, elapsedMs } = await call(['list', ...s3], env);
    expect(stderr).toMatch(
      /^walhold: error: could not list the versions of s3:\/\/bucket\/x\/\nwalhold: detail: .+ECONNREFUSED/,
    );
    expect(status).toBe(1);
    expect(elapsedMs).toBeLessThan(30_000);
  });

  it('stops at a signal, with 1, while a store is silent', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const s3 = ['--repo', 's3://bucket/x', '--s3-endpoint', `http://127.0.0.1:${port}`, '--s3-region', 'us-east-1'];
    const env = { ...plainEnvironment(), AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y' };
    const child = spawn(walhold, ['list', ...s3], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [socket] = (await once(silent, 'connection')) as [{ destroy: () => void }];
    child.kill('SIGTERM');
    const [status] = (await once(child, 'exit')) as [number | null];
    socket.destroy();
    silent.close();
    expect(stderr).toBe('walhold: error: stopped by SIGTERM\n');
    expect(status).toBe(1);
  });
});

describe('check, of S3 servers that do not keep their word', () => {
  const broken = [
    [[], {}],
    [['conditions'], { 'repo refuses a taken name': 'accepted', 'repo refuses a taken name in parts': 'accepted' }],
    [['checksums'], { 'repo refuses a wrong checksum': 'accepted' }],
  ] as const;
  it.each(broken)('which ignore %j, finds %j', async (ignores, expected) => {
    await using fake = await FakeS3.start({ ignores });
    const bucket = fake.makeBucket('bucket');
    const identity = { format: 1 as const, systemId: SYSTEM_ID, createdAt: '2026-01-01T00:00:00.000Z', by: 'a test' };
    bucket.add('cluster/walhold.json', formatIdentity(identity));
    fake.addKey('AKARCHIVER', ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:AbortMultipartUpload']);
    const env = { AWS_ACCESS_KEY_ID: 'AKARCHIVER', AWS_SECRET_ACCESS_KEY: fake.secretKey };
    const s3 = ['--repo', 's3://bucket/cluster', '--s3-endpoint', fake.endpoint, '--s3-region', fake.region];
    const argv = ['check', '--json', ...s3, '--s3-path-style', 'on', '-d', 'host=/nonexistent'];
    const { stdout, status } = await call(argv, env);
    const { checks } = JSON.parse(stdout) as CheckJson;
    const wrong = checks.filter(({ name, ok }) => name.startsWith('repo ') && !ok);
    expect(Object.fromEntries(wrong.map(({ name, found }) => [name, found]))).toEqual(expected);
    expect(checks.filter(({ name, ok }) => name.startsWith('repo ') && ok).length).toBeGreaterThan(1);
    // The server could not be looked at.
    expect(status).toBe(1);
  });
});
