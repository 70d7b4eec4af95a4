// Ends with 0 when node_modules is not what package-lock.json describes, with 1 when it is. JavaScript, because it runs
// before anything is installed, on whatever Node the machine has.
import { readFileSync } from 'node:fs';

/** npm keeps a record of what it has installed in the same form as the lock file. */
const INSTALLED = 'node_modules/.package-lock.json';

const installed = packagesOf(INSTALLED);
const wanted = packagesOf('package-lock.json') ?? {};
const differs =
  installed === undefined ||
  Object.entries(wanted).some(([path, { version, optional }]) => {
    if (path === '') return false; // the project itself
    const found = installed[path];
    return found === undefined ? optional !== true : found.version !== version;
  }) ||
  Object.keys(installed).some((path) => wanted[path] === undefined);
process.exitCode = differs ? 0 : 1;

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
