// Bundles src/cli into dist/: one entry per executable and per worker thread, shared code in chunks, so that each
// executable loads only what it runs (the hot path must not pay for the S3 client or commander).
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: {
    push: 'src/cli/push.ts',
    fetch: 'src/cli/fetch.ts',
    walhold: 'src/cli/walhold.ts',
    'backup-thread': 'src/commands/backup-thread.ts',
    'restore-thread': 'src/commands/restore-thread.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  mainFields: ['module', 'main'],
  external: ['zstd-napi', '@node-rs/crc32', 'pg-native'],
  chunkNames: 'chunks/[name]-[hash]',
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  define: { 'process.env.WALHOLD_BUNDLED': '"1"' },
  sourcemap: false,
  legalComments: 'none',
  logLevel: 'warning',
});
