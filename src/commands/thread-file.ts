import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Beside this file or with the worker in the sources; in a bundle beside it, or above the folder of shared chunks. */
const PLACES = (name: string): string[] => [`./${name}.ts`, `../worker/${name}.ts`, `./${name}.js`, `../${name}.js`];

/** The entry of a worker thread, from the sources or from the bundle, wherever this code lies. `name`: `backup-thread`. */
export function threadFile(name: string): URL {
  const urls = PLACES(name).map((place) => new URL(place, import.meta.url));
  const found = urls.find((url) => existsSync(fileURLToPath(url)));
  if (found === undefined) throw new Error(`${name} is missing from this installation`);
  return found;
}
