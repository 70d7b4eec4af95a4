import { execFile } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testCache } from './embedded-postgres.ts';
import { copyForOthers, makeOnce } from './shared-place.ts';

/** The Debian release that packages this major; its programs need its C library, newer than this machine's perhaps. */
const RELEASES: Readonly<Record<number, string>> = { 17: 'trixie' };
const LIBRARIES = ['libc6', 'libpq5', 'libssl3t64', 'libzstd1', 'liblz4-1', 'zlib1g'];
const TIMEOUT_MS = 300_000;

/**
 * The words that run a client program of this major, which npm's packages lack: Debian's, unpacked into the test cache and started
 * through its own loader. `undefined`: this machine has it neither there nor from its package archive.
 */
export async function debianClient(major: number, program: string): Promise<string[] | undefined> {
  const release = RELEASES[major];
  if (release === undefined || process.arch !== 'x64') return undefined;
  const folder = await unpacked(major, release).catch(() => undefined);
  if (folder === undefined) return undefined;
  const libraries = join(folder, 'usr/lib/x86_64-linux-gnu');
  const loader = join(libraries, 'ld-linux-x86-64.so.2');
  return [loader, '--library-path', libraries, join(folder, `usr/lib/postgresql/${major}/bin`, program)];
}

async function unpacked(major: number, release: string): Promise<string> {
  await mkdir(testCache(), { recursive: true });
  const name = `clients${major}-${release}`;
  const folder = await makeOnce(join(testCache(), name), async (target) => {
    const packages = [`postgresql-${major}`, `postgresql-client-${major}`, ...LIBRARIES];
    const debs = await download(packages, release, join(target, 'apt'));
    for (const deb of debs) await runOk('dpkg-deb', ['-x', deb, target]);
  });
  return await copyForOthers(folder, name);
}

/** By apt, with lists and a cache of its own, from where this machine gets its own packages. */
async function download(packages: readonly string[], release: string, folder: string): Promise<string[]> {
  const { stdout } = await runOk('apt-get', ['indextargets', '--format', '$(ORIGIN) $(LABEL) $(REPO_URI)']);
  const archive = /^Debian Debian (\S+)$/m.exec(stdout)?.[1];
  if (archive === undefined) throw new Error('this machine has no Debian archive');
  for (const name of ['lists/partial', 'cache/archives/partial', 'debs'])
    await mkdir(join(folder, name), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  await writeFile(join(folder, 'sources.list'), `deb [signed-by=${keyring}] ${archive} ${release} main\n`);
  const settings = [
    ['Dir::Etc::sourcelist', join(folder, 'sources.list')],
    ['Dir::Etc::sourceparts', '-'],
    ['Dir::State::lists', join(folder, 'lists')],
    ['Dir::Cache', join(folder, 'cache')],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await runOk('apt-get', [...settings, 'update']);
  await runOk('apt-get', [...settings, 'download', ...packages], join(folder, 'debs'));
  return (await readdir(join(folder, 'debs'))).map((name) => join(folder, 'debs', name));
}

async function runOk(program: string, argv: readonly string[], cwd = '/'): Promise<{ stdout: string }> {
  return await promisify(execFile)(program, argv, { timeout: TIMEOUT_MS, cwd });
}
