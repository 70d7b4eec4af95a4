import { readdirSync } from 'node:fs';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const NODE_PROGRAMS = new Set(['node', 'nodejs', 'npm', 'npx', 'corepack']);

/** A PATH with this machine's programs but no Node.js: a folder of links, made in `folder`. */
export async function pathWithoutNode(folder: string): Promise<string> {
  await mkdir(folder);
  await chmod(folder, 0o755);
  const taken = new Set(NODE_PROGRAMS);
  for (const source of ['/usr/bin', '/bin']) {
    for (const name of readdirSync(source)) {
      if (taken.has(name)) continue;
      taken.add(name);
      await symlink(join(source, name), join(folder, name));
    }
  }
  return folder;
}

/** A PATH whose `node` only complains and fails: whoever runs it ran the host's instead of the project's own. */
export async function pathWithBrokenNode(folder: string): Promise<string> {
  await mkdir(folder);
  await chmod(folder, 0o755);
  await writeFile(join(folder, 'node'), '#!/bin/sh\necho "the node of the host was used" >&2\nexit 99\n');
  await chmod(join(folder, 'node'), 0o755);
  return `${folder}:/usr/bin:/bin`;
}
