import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadPackages, runOk } from './debian-packages.ts';
import { testCache } from './embedded-postgres.ts';
import { copyForOthers, makeOnce } from './shared-place.ts';

/** The Debian release that packages this major; its programs need its C library, newer than this machine's perhaps. */
const RELEASES: Readonly<Record<number, string>> = { 17: 'trixie', 18: 'forky' };
const LIBRARIES = ['libc6', 'libpq5', 'libssl3t64', 'libzstd1', 'liblz4-1', 'zlib1g'];

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
    const debs = await downloadPackages(packages, release, join(target, 'apt'));
    for (const deb of debs) await runOk('dpkg-deb', ['-x', deb, target]);
  });
  return await copyForOthers(folder, name);
}
