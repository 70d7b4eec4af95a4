import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Place } from '../../../test/support/place.ts';
import { run } from '../../../test/support/run.ts';
import { PROCESSES } from './archiver.ts';
import type { Values } from '../figures.ts';
import { settle } from '../settle.ts';
import type { Wal } from './wal.ts';

// What no tool can be below, by programs of the system alone.

export const COMPRESSION_ALONE = 'openssl and zstd alone';

export const COMPRESSION_METHOD: string = `${COMPRESSION_ALONE}: ${PROCESSES} processes share the segments, each by \`openssl dgst -sha256\` and then \`zstd -1\` over all of its own. No server asks and nothing is synced: what a digest and compression take by themselves`;

/** Digests and compresses the first `count` segments. */
export async function compressionAlone({ folder, segments }: Wal, count: number): Promise<Values> {
  await using place = await Place.create('floor', 'current user');
  const paths = segments.slice(0, count).map((name) => join(folder, name));
  settle();
  const started = performance.now();
  await Promise.all(
    Array.from({ length: PROCESSES }, async (_, share) => {
      const own = paths.filter((__, at) => at % PROCESSES === share);
      await digestAndCompress(own, join(place.path, String(share)));
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const { stdout } = await ran(['du', '-s', '-B1', place.path]);
  return { seconds, rate: count / seconds, storedMb: Number(stdout.split('\t')[0]) / 1024 ** 2 };
}

async function digestAndCompress(paths: readonly string[], output: string): Promise<void> {
  await mkdir(output);
  await ran(['openssl', 'dgst', '-sha256', ...paths]);
  await ran(['zstd', '-q', '-1', '--output-dir-flat', output, ...paths]);
}

async function ran(argv: readonly string[]): Promise<{ stdout: string }> {
  const result = await run(argv, { timeoutMs: 600_000 });
  if (result.status !== 0) throw new Error(`${argv[0]} ended with ${result.status}: ${result.stderr}`);
  return result;
}

/** The fewest processes that a script can answer with: none for a push, and for a fetch the one that links the file. */
export const LAUNCHER_ALONE = 'a script that looks and links';

/** A program to be called as `archive_command` and as `restore_command`, in this folder. */
export async function bareScript(place: Place, role: 'push' | 'fetch'): Promise<string> {
  const line = role === 'push' ? '[ -f "$1" ]' : 'ln -f "pg_wal/$1" "$2"';
  const path = await place.file(`bare-${role}`, `#!/bin/sh\n${line}\n`);
  await chmod(path, 0o755);
  return path;
}
