import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** An entry of this folder, from the sources or from the bundle, wherever this code lies in it. */
export function programFile(name: string): string {
  const places = [`./${name}.js`, `../${name}.js`, `./${name}.ts`].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw new Error(`${name} is missing from this installation`);
  return found;
}
