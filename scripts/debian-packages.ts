import { execFile } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const TIMEOUT_MS = 300_000;

/**
 * The package files of a Debian release, by apt with lists and a cache of its own in `folder`, from where this machine gets its own
 * packages. Throws where there is no such archive.
 */
export async function downloadPackages(
  packages: readonly string[],
  release: string,
  folder: string,
): Promise<string[]> {
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

/** Throws for any exit status but 0. */
export async function runOk(program: string, argv: readonly string[], cwd = '/'): Promise<{ stdout: string }> {
  return await promisify(execFile)(program, argv, { timeout: TIMEOUT_MS, cwd });
}
