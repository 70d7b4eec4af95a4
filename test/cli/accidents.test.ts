import { spawn, spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { chmod, chown, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asAccount } from '../../scripts/server-user.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { hangs } from '../support/fake-s3-faults.ts';
import { built } from '../support/hook.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { PretendCluster } from '../support/pretend-cluster.ts';
import { plainEnvironment, runAs, type RunOptions, type RunResult } from '../support/run.ts';
import { pathWithoutNode } from '../support/tools-path.ts';
import { waitFor } from '../support/wait-for.ts';

const HOOKS = ['walhold-push', 'walhold-fetch'] as const;
type Hook = (typeof HOOKS)[number];

let place: Place;
let cluster: PretendCluster;
let repository: string;
/** What each would do: push one segment, fetch another that is stored. */
let operands: Record<Hook, readonly string[]>;

beforeEach(async () => {
  place = await Place.create('accident');
  cluster = await PretendCluster.create(join(place.path, 'data'), { owner: place.owner });
  repository = await place.folder('repo');
  const stored = await cluster.putSegment(5);
  expect(await call('walhold-push', ['--repo', `file://${repository}`, stored])).toMatchObject({ status: 0 });
  const pushed = await cluster.putSegment(6);
  operands = {
    'walhold-push': ['--repo', `file://${repository}`, pushed],
    'walhold-fetch': ['--repo', `file://${repository}`, nameOf(5), 'pg_wal/RECOVERYXLOG'],
  };
});
afterEach(async () => await place[Symbol.asyncDispose]());

/** As the server calls it: `line` is the shell's, with `"$@"` for the command and its words. */
async function call(
  hook: Hook,
  words: readonly string[],
  { line = '"$@"', launcher, ...options }: RunOptions & { line?: string; launcher?: string } = {},
): Promise<RunResult> {
  const argv = ['sh', '-c', line, 'sh', launcher ?? (await built(hook)), ...words];
  return await runAs(place.owner, argv, { cwd: cluster.path, timeoutMs: 20_000, ...options });
}

const isStored = (): boolean => existsSync(join(repository, `wal/00000001/0000000100000000/${nameOf(6)}.zst`));
const isFetched = (): boolean => existsSync(join(cluster.path, 'pg_wal/RECOVERYXLOG'));

/** Failure as the server must hear it, whatever was done. */
function expectFailure(hook: Hook, result: RunResult): void {
  expect(result.timedOut).toBe(false);
  expect(result.signal).toBeNull();
  if (hook === 'walhold-push') expect([1, 2]).toContain(result.status);
  else expect(result.status).toBeGreaterThan(125);
}

/** The installed program in a place of its own, to be spoilt. */
async function ownInstallation(): Promise<string> {
  const root = join(place.path, 'installed');
  const original = dirname(dirname(await built('walhold-push')));
  await cp(original, root, { recursive: true, verbatimSymlinks: true });
  return root;
}

describe.each(HOOKS)('%s fails', (hook) => {
  it('when its program is killed', async () => {
    await using fake = await FakeS3.start();
    fake.makeBucket('bucket');
    fake.fail(hangs, { times: 1000 });
    const words = [
      '--repo',
      's3://bucket/x',
      '--s3-endpoint',
      fake.endpoint,
      '--s3-path-style',
      'on',
      '--s3-region',
      fake.region,
    ];
    const env = { AWS_ACCESS_KEY_ID: fake.accessKey, AWS_SECRET_ACCESS_KEY: fake.secretKey };
    const calling = call(hook, [...words, ...operands[hook].slice(2)], { env });
    await waitFor(() => fake.requests.length > 0, { what: 'the first request', deadlineMs: 10_000 });
    const program = spawnSync('pgrep', [
      '-f',
      `${hook.slice('walhold-'.length)}.js --repo s3://bucket/x .*${fake.endpoint}`,
    ]);
    process.kill(Number(program.stdout.toString().trim().split('\n')[0]), 'SIGKILL');
    const result = await calling;
    expectFailure(hook, result);
    expect(result.stderr).toContain(`${hook}: error: the program ended with status 137 before it had decided`);
  });

  it('when it runs out of memory', async () => {
    const result = await call(hook, operands[hook], {
      env: { NODE_OPTIONS: '--max-old-space-size=1 --max-semi-space-size=1' },
    });
    expectFailure(hook, result);
  });

  it('when the system has no memory for it', async () => {
    expectFailure(hook, await call(hook, operands[hook], { line: 'ulimit -v 300000; "$@"' }));
  });

  it.each(['is missing', 'is empty', 'is cut off'])('when a file of the program %s', async (how) => {
    const root = await ownInstallation();
    const program = join(root, 'dist', `${hook.slice('walhold-'.length)}.js`);
    for (const path of [program, ...globSync('dist/chunks/*.js', { cwd: root }).map((name) => join(root, name))]) {
      if (how === 'is missing') await rm(path);
      else await writeFile(path, how === 'is empty' ? '' : (await readFile(path, 'utf8')).slice(0, 200));
    }
    expectFailure(hook, await call(hook, operands[hook], { launcher: join(root, 'bin', hook) }));
    expect(isStored() || isFetched()).toBe(false);
  });

  it('when one of the parts that it loads later is missing', async () => {
    const root = await ownInstallation();
    for (const name of globSync('dist/chunks/file-*.js', { cwd: root })) await rm(join(root, name));
    const result = await call(hook, operands[hook], { launcher: join(root, 'bin', hook) });
    expectFailure(hook, result);
    expect(result.stderr).toContain('Cannot find module');
    expect(result.stderr).toContain('hint: A part of the program is missing');
  });

  it('when what it waits for never comes', async () => {
    const never = `data:text/javascript,import fs from 'node:fs/promises'; import { syncBuiltinESMExports } from 'node:module';
      fs.readdir = () => new Promise(() => {}); syncBuiltinESMExports();`;
    const env = { NODE_OPTIONS: `--import=${never.replaceAll(/\s+/g, '%20')}` };
    expectFailure(hook, await call(hook, ['--push-timeout', '1s', ...operands[hook]], { env }));
  });

  it.each(['--no-such-option', '--require=/nonexistent.js', '--import=data:text/javascript,process.exit(0)'])(
    'when NODE_OPTIONS is %s',
    async (options) => {
      expectFailure(hook, await call(hook, operands[hook], { env: { NODE_OPTIONS: options } }));
    },
  );

  it('when there is no Node', async () => {
    const root = await ownInstallation();
    await rm(join(root, 'node_modules'));
    const env = { PATH: await pathWithoutNode(join(place.path, 'bare')) };
    const result = await call(hook, operands[hook], { launcher: join(root, 'bin', hook), env });
    expectFailure(hook, result);
    expect(result.stderr).toContain('before it had decided');
    expect(result.stderr).toContain(`${hook}: hint: No runtime lies beside it`);
  });

  it('when it cannot start a process', async () => {
    const line = '{ ulimit -u 1 || ulimit -p 1; } 2>/dev/null; exec "$@"';
    const result = await call(hook, operands[hook], { line });
    expectFailure(hook, result);
    expect(result.stderr).toMatch(/fork|EAGAIN|Resource temporarily unavailable/);
  });

  it('when the configuration cannot be read', async () => {
    const path = await place.file('walhold.conf', `repo = 'file://${repository}'\n`);
    await chown(path, 0, 0).catch(() => undefined);
    await chmod(path, 0);
    const result = await call(hook, ['--config', path, ...operands[hook].slice(2)]);
    expectFailure(hook, result);
    expect(result.stderr).toMatch(/error: could not read the configuration file .*\n.*detail: EACCES/);
  });

  it('when a file under the data directory never answers, at its deadline or told to stop', async () => {
    await rm(join(cluster.path, 'global/pg_control'));
    spawnSync('mkfifo', ['-m', '666', join(cluster.path, 'global/pg_control')]);
    const started = performance.now();
    const line = '"$@" & sleep 1; kill $!; wait $!';
    const result = await call(hook, ['--push-timeout', '300ms', ...operands[hook]], { line });
    expectFailure(hook, result);
    expect(result.stderr).not.toContain('before it had decided');
    expect(performance.now() - started).toBeLessThan(4000);
  });

  it('when it is told to stop, at once, and its program with it', async () => {
    await using fake = await FakeS3.start();
    fake.makeBucket('bucket');
    fake.fail(hangs, { times: 1000 });
    const env = {
      ...plainEnvironment(),
      AWS_ACCESS_KEY_ID: fake.accessKey,
      AWS_SECRET_ACCESS_KEY: fake.secretKey,
    };
    const words = [
      '--repo',
      's3://bucket/x',
      '--s3-endpoint',
      fake.endpoint,
      '--s3-path-style',
      'on',
      '--s3-region',
      fake.region,
    ];
    const child = spawn(await built(hook), [...words, ...operands[hook].slice(2)], {
      ...asAccount(place.owner),
      cwd: cluster.path,
      env,
      stdio: 'ignore',
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await waitFor(() => fake.requests.length > 0, { what: 'the first request', deadlineMs: 10_000 });
    const asked = performance.now();
    child.kill('SIGTERM');
    expect(await ended).toBe(hook === 'walhold-push' ? 1 : 143);
    expect(performance.now() - asked).toBeLessThan(3000);
    expect(spawnSync('pgrep', ['-f', fake.endpoint]).stdout.toString()).toBe('');
  });
});

/** A small filesystem for what the line after it does, where this kernel lets a user make one. */
const SMALL_DISK = 'unshare -rm sh -c \'mount -t tmpfs -o size=16k none "$0" && exec "$@"\'';
const canMount = spawnSync('sh', ['-c', `${SMALL_DISK} /mnt true`]).status === 0;

describe('a full disk', () => {
  it.skipIf(!canMount)('under the repository fails a push', async () => {
    const full = await place.folder('full');
    const words = ['--repo', `file://${full}/repo`, 'pg_wal/big'];
    await cluster.put(`pg_wal/${nameOf(7)}`, noisySegment(7));
    words[2] = `pg_wal/${nameOf(7)}`;
    const result = await call('walhold-push', words, { line: `${SMALL_DISK.replace('"$0"', `"${full}"`)} sh "$@"` });
    expectFailure('walhold-push', result);
    expect(result.stderr).toMatch(/ENOSPC/);
  });

  it.skipIf(!canMount)('under pg_wal fails a fetch and leaves nothing in place', async () => {
    const wal = join(cluster.path, 'pg_wal');
    const line = `${SMALL_DISK.replace('"$0"', `"${wal}"`).replace('exec "$@"', '"$@"; s=$?; ls -A ' + wal + '; exit $s')} sh "$@"`;
    const result = await call('walhold-fetch', operands['walhold-fetch'], { line });
    expectFailure('walhold-fetch', result);
    expect(result.stderr).toMatch(/ENOSPC/);
    expect(result.stdout).not.toContain('RECOVERYXLOG');
  });
});

describe('a spool that cannot be written', () => {
  it.each(HOOKS)('is a warning to %s, which says the truth all the same', async (hook) => {
    await mkdir(join(cluster.path, 'pg_wal/pgsql_tmp.walhold'), { recursive: true });
    await chmod(join(cluster.path, 'pg_wal/pgsql_tmp.walhold'), 0o500);
    await chown(join(cluster.path, 'pg_wal/pgsql_tmp.walhold'), 0, 0).catch(() => undefined);
    const env = { TMPDIR: place.path };
    const result = await call(hook, operands[hook], { env });
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/warning: could not (note|look).* in the spool/);
    expect(hook === 'walhold-push' ? isStored() : isFetched()).toBe(true);

    await rm(repository, { recursive: true });
    await cluster.putSegment(7);
    const words = hook === 'walhold-push' ? [...operands[hook].slice(0, 2), `pg_wal/${nameOf(7)}`] : operands[hook];
    const failed = await call(hook, ['--repo', `file://${place.path}/gone/repo`, ...words.slice(2)], { env });
    expectFailure(hook, failed);
    expect(failed.stderr).not.toMatch(/warning: .* in the spool/);
  });
});

describe('closed standard channels', () => {
  const CLOSED = ['</dev/null >/dev/null 2>&1', '<&- >&- 2>&-', '2>&-', '>/dev/full 2>/dev/full'];
  it.each(CLOSED)('(%s) do not change what is said', async (redirection) => {
    const line = `"$@" ${redirection}`;
    expect(await call('walhold-push', operands['walhold-push'], { line })).toMatchObject({ status: 0 });
    expect(isStored()).toBe(true);
    expect(await call('walhold-fetch', operands['walhold-fetch'], { line })).toMatchObject({ status: 0 });
    expect((await readFile(join(cluster.path, 'pg_wal/RECOVERYXLOG'))).equals(segmentBytes(5))).toBe(true);
    for (const hook of HOOKS) {
      const words = operands[hook].with(1, `file://${place.path}/none/repo`);
      expectFailure(hook, await call(hook, words, { line }));
    }
  });
});

/** One that does not become small. */
function noisySegment(segno: number): Buffer {
  const bytes = segmentBytes(segno);
  for (let at = 8192; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
  return bytes;
}
