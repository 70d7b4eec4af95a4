import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WalholdError } from '../base/errors.ts';

/** The absolute path of an executable of this very installation, whether this code runs from the sources or from a bundle. */
export function installedExecutable(name: 'walhold-fetch' | 'walhold-push'): string {
  const start = dirname(realpathSync(fileURLToPath(import.meta.url)));
  for (let at = start; at !== dirname(at); at = dirname(at)) {
    const path = join(at, 'bin', name);
    if (existsSync(path)) return path;
  }
  throw new WalholdError('io', `could not find ${name} above ${start}`, {
    hint: 'The installation is incomplete: install walhold again.',
  });
}
