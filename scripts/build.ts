// Builds what bin/ runs, into dist/:
//   scripts/with-node scripts/build.ts
import { globSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

/** The top of the source tree. */
export const ROOT: string = fileURLToPath(new URL('..', import.meta.url));

/** Packages with native code, which the bundle loads from `node_modules` beside it. */
export const NATIVE_PACKAGES: readonly string[] = ['zstd-napi', '@node-rs/crc32'];

/** Needed by no one: pg only asks whether it is there. */
const ABSENT_PACKAGES = ['pg-native'];

/**
 * Bundles `src/cli` into `folder`: one entry per executable and per worker thread, shared code in chunks, so that each
 * executable loads only what it runs (the hot path must not pay for the S3 client or commander). Returns what went where.
 */
export async function buildInto(folder: string): Promise<Metafile> {
  const { metafile } = await build({
    metafile: true,
    absWorkingDir: ROOT,
    entryPoints: Object.fromEntries(entries().map((path) => [basename(path, '.ts'), path])),
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    external: [...NATIVE_PACKAGES, ...ABSENT_PACKAGES],
    chunkNames: 'chunks/[name]-[hash]',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    define: { 'process.env.WALHOLD_BUNDLED': '"1"' },
    sourcemap: false,
    legalComments: 'none',
    logLevel: 'warning',
  });
  return metafile;
}

/** The executables, and every file that runs in a worker thread, which its name tells. */
function entries(): string[] {
  const executables = ['push', 'fetch', 'worker', 'walhold'].map((name) => `src/cli/${name}.ts`);
  return [...executables, ...globSync('src/**/*-thread.ts', { cwd: ROOT })];
}

/** Builds elsewhere and puts the result in place at the end, so that a failed build leaves the last good one. */
async function buildDist(): Promise<void> {
  const folder = await mkdtemp(join(ROOT, 'node_modules', '.build-'));
  try {
    await buildInto(join(folder, 'new'));
    await rename(join(ROOT, 'dist'), join(folder, 'old')).catch(ignoreAbsence);
    await rename(join(folder, 'new'), join(ROOT, 'dist'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function ignoreAbsence(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

if (import.meta.main) {
  await buildDist();
}
