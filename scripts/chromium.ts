// Brings the browser that reports are looked at with, Debian's, into the test cache, unless this machine has one:
//   scripts/with-node scripts/chromium.ts
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { testCache } from './embedded-postgres.ts';
import { makeOnce } from './shared-place.ts';

export interface Browser {
  program: string;
  /** Variables that it needs beside the machine's. */
  env: Readonly<Record<string, string>>;
}

const PACKAGES = ['chromium', 'fonts-dejavu-core'];
const NAME = 'chromium';
const TIMEOUT_MS = 300_000;

/** The one on PATH, or the one in the test cache; it is brought there if need be. Throws when this machine cannot get it. */
export async function chromium(): Promise<Browser> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const installed = folders.map((folder) => join(folder, NAME)).find((program) => existsSync(program));
  if (installed !== undefined) return { program: installed, env: {} };
  await mkdir(testCache(), { recursive: true });
  const folder = await makeOnce(join(testCache(), NAME), unpack);
  const libraries = join(folder, 'usr/lib', `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`);
  return {
    program: join(folder, 'usr/lib/chromium/chromium'),
    env: {
      LD_LIBRARY_PATH: [libraries, join(libraries, 'pulseaudio'), join(folder, 'usr/lib/chromium')].join(delimiter),
      FONTCONFIG_FILE: join(folder, 'fonts.conf'),
    },
  };
}

/** The packages, and all that they need and this machine lacks, without installing any: no right to do so is needed. */
async function unpack(folder: string): Promise<void> {
  const apt = join(folder, 'apt');
  for (const name of ['lists/partial', 'cache/archives/partial']) await mkdir(join(apt, name), { recursive: true });
  const settings = [
    ['Dir::State::lists', join(apt, 'lists')],
    ['Dir::Cache', join(apt, 'cache')],
    ['Debug::NoLocking', '1'],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await runOk('apt-get', [...settings, 'update']);
  const flags = ['--yes', '--download-only', '--no-install-recommends'];
  await runOk('apt-get', [...settings, ...flags, 'install', ...PACKAGES]);
  const archives = join(apt, 'cache/archives');
  const debs = (await readdir(archives)).filter((name) => name.endsWith('.deb'));
  for (const deb of debs) await runOk('dpkg-deb', ['-x', join(archives, deb), folder]);
  await writeFile(
    join(folder, 'fonts.conf'),
    fontsConf([join(testCache(), NAME, 'usr/share/fonts'), '/usr/share/fonts']),
  );
  await rm(apt, { recursive: true });
}

/** What no rule names falls to one family: a machine's own choice may be one with serifs. */
function fontsConf(folders: readonly string[]): string {
  const edit = (mode: string, font: string): string =>
    `<edit name="family" mode="${mode}" binding="strong"><string>${font}</string></edit>`;
  return `<?xml version="1.0"?>
<fontconfig>
${folders.map((folder) => `<dir>${folder}</dir>`).join('\n')}
<match target="pattern"><test name="family"><string>monospace</string></test>${edit('prepend', 'DejaVu Sans Mono')}</match>
<match target="pattern">${edit('append', 'DejaVu Sans')}</match>
</fontconfig>
`;
}

async function runOk(program: string, argv: readonly string[]): Promise<void> {
  await promisify(execFile)(program, argv, { timeout: TIMEOUT_MS, cwd: '/', maxBuffer: 64 * 1024 * 1024 });
}

if (import.meta.main) {
  await chromium().catch((error: unknown) => {
    process.stderr.write(`chromium could not be brought: ${error instanceof Error ? error.message : String(error)}\n`);
    // Elsewhere the tests that need it are skipped, and say so.
    if (process.env['CI'] === 'true') process.exitCode = 1;
  });
}
