import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Metafile } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildInto, ROOT } from '../../scripts/build.ts';

describe('what PostgreSQL calls', () => {
  const folder = mkdtempSync(join(tmpdir(), 'walhold-hot-path-'));
  let bundle: Metafile;

  beforeAll(async () => {
    bundle = await buildInto(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(['push', 'fetch'])('loads no package that its %s does not need before its first line runs', (name) => {
    const inputs = [`${name}.js`, outputOf(`src/commands/${name}.ts`)].flatMap(inputsAtStart);
    expect(packagesAmong(inputs)).toEqual([]);
    expect(inputs).toContain(`src/cli/${name}.ts`);
    expect(inputs).toContain(`src/commands/${name}.ts`);
  });

  it.each([
    ['worker', 'src/commands/work.ts'],
    ['push-thread', 'src/worker/push-thread.ts'],
    ['fetch-thread', 'src/commands/fetch-thread.ts'],
  ])('loads no package for its %s before it is known what is stored in', (name, input) => {
    const inputs = inputsAtStart(`${name}.js`);
    expect(packagesAmong(inputs)).toEqual([]);
    expect(inputs).toContain(input);
  });

  const inputsAtStart = (output: string): string[] => {
    const path = output in bundle.outputs ? output : relative(ROOT, join(folder, output));
    return loadedAtStart(bundle, path).flatMap((file) => Object.keys(bundle.outputs[file]?.inputs ?? {}));
  };
  /** The one that begins with this file. */
  const outputOf = (entry: string): string =>
    Object.entries(bundle.outputs).find(([, { entryPoint }]) => entryPoint === entry)?.[0] ?? `no output for ${entry}`;

  it('loads the client of Google Cloud Storage for who needs a token, and for nobody else', () => {
    const [store] = Object.entries(bundle.outputs).find(([, output]) => 'src/store/gcs.ts' in output.inputs) ?? [];
    const inputs = loadedAtStart(bundle, store ?? '').flatMap((file) =>
      Object.keys(bundle.outputs[file]?.inputs ?? {}),
    );
    expect(inputs).toContain('src/store/gcs-credentials.ts');
    expect(inputs.filter((input) => input.includes('node_modules'))).toEqual([]);
    expect(Object.values(bundle.outputs).some(({ inputs: all }) => Object.keys(all).some((one) => one.includes('@google-cloud/storage')))).toBe(true); // prettier-ignore
  });
});

function packagesAmong(inputs: readonly string[]): string[] {
  const packages = inputs.flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? []);
  return [...new Set(packages)];
}

/** The output file and all that its static imports bring along. */
function loadedAtStart(bundle: Metafile, entry: string, seen = new Set<string>()): string[] {
  if (seen.has(entry)) return [];
  seen.add(entry);
  const imports = bundle.outputs[entry]?.imports ?? [];
  const statics = imports.filter(({ kind, external }) => kind === 'import-statement' && external !== true);
  return [entry, ...statics.flatMap(({ path }) => loadedAtStart(bundle, path, seen))];
}
