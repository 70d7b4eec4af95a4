import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../src/stream/checksum.ts';
import { decompressFrames } from '../../src/stream/zstd.ts';
import type { Cluster } from './cluster.ts';
import { segmentPath } from './repository-files.ts';

/**
 * The segments that the archiver believes to be stored and whose file is there still, against what the repository holds of them. Returns
 * how many there were.
 *
 * @throws naming the first one that is missing or another.
 */
export async function expectTruth(cluster: Cluster, repository: string, segmentMb: number): Promise<number> {
  const names = (await cluster.walFiles('archive_status'))
    .filter((name) => /^[0-9A-F]{24}\.done$/.test(name))
    .map((name) => name.slice(0, 24));
  let compared = 0;
  for (const name of names) {
    const own = await readFile(join(cluster.dataDir, 'pg_wal', name)).catch(() => undefined);
    if (own === undefined) continue;
    const stored = decompressFrames(await readFile(segmentPath(repository, name)), segmentMb * 1024 * 1024);
    if (sha256(stored) !== sha256(own)) throw new Error(`${name} is acknowledged, and stored is something else`);
    compared += 1;
  }
  return compared;
}
