import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadPackages, runOk } from './debian-packages.ts';
import { testCache } from './embedded-postgres.ts';
import { makeOnce } from './shared-place.ts';

/** Its promtool runs on every later release too. */
const RELEASE = 'bookworm';

/** The path of Prometheus' own checker, out of Debian's package, in the test cache. `undefined`: it is not to be had here. */
export async function promtool(): Promise<string | undefined> {
  if (process.arch !== 'x64') return undefined;
  const folder = await unpacked().catch(() => undefined);
  return folder === undefined ? undefined : join(folder, 'usr/bin/promtool');
}

async function unpacked(): Promise<string> {
  await mkdir(testCache(), { recursive: true });
  return await makeOnce(join(testCache(), `prometheus-${RELEASE}`), async (target) => {
    const apt = join(target, 'apt');
    for (const deb of await downloadPackages(['prometheus'], RELEASE, apt))
      await runOk('dpkg-deb', ['-x', deb, target]);
    for (const rest of [apt, join(target, 'usr/share'), join(target, 'usr/bin/prometheus')]) {
      await rm(rest, { recursive: true });
    }
  });
}
