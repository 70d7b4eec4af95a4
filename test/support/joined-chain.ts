import { chownSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';

const BLOCK = 8192;
const PREFIX = 'INCREMENTAL.';

/**
 * Joins the extracted backups of a chain, the full one first, as pg_combinebackup would: a new folder in the cluster's place that can
 * be recovered. Read by the rules of PostgreSQL's source and by none of the code under test. There are thousands of small files, which
 * take a tenth of the time when nothing else has its turn between them.
 */
export async function joinedChain(cluster: Cluster, chain: readonly string[]): Promise<string> {
  const newest = chain.at(-1) ?? '';
  const target = await cluster.place.folder(`joined-${Math.random().toString(36).slice(2)}`);
  await cluster.runOk(['cp', '-a', `${newest}/.`, target]);
  for (const path of globSync(`**/${PREFIX}*`, { cwd: target })) {
    const plain = path.replace(PREFIX, '');
    put(cluster, join(target, plain), joinedFile(chain, plain));
    rmSync(join(target, path));
  }
  const label = readFileSync(join(target, 'backup_label'), 'utf8');
  put(cluster, join(target, 'backup_label'), label.replaceAll(/^INCREMENTAL FROM .*\n/gm, ''));
  rmSync(join(target, 'backup_manifest'));
  return target;
}

function put(cluster: Cluster, path: string, content: string | Buffer): void {
  writeFileSync(path, content, { mode: 0o600 });
  chownSync(path, cluster.user.uid, cluster.user.gid);
}

/** Each block from the newest backup that holds it, below the length that the newest gives; zeros where none does. */
function joinedFile(chain: readonly string[], plain: string): Buffer {
  const name = plain.slice(plain.lastIndexOf('/') + 1);
  const stored = plain.slice(0, -name.length) + PREFIX + name;
  const sources: { bytes: Buffer; at: (block: number) => number | undefined; length: number; whole: boolean }[] = [];
  for (const folder of chain.toReversed()) {
    const whole = existsSync(join(folder, plain));
    const bytes = readFileSync(join(folder, whole ? plain : stored));
    sources.push(
      whole ? { bytes, at: (block) => block * BLOCK, length: bytes.length / BLOCK, whole } : incremental(bytes),
    );
    if (whole) break;
  }
  if (sources.at(-1)?.whole !== true) throw new Error(`no backup of the chain holds ${plain} whole`);
  const joined = Buffer.alloc((sources[0]?.length ?? 0) * BLOCK);
  for (let block = 0; block * BLOCK < joined.length; block++) {
    const source = sources.find(({ at, bytes }) => (at(block) ?? Infinity) < bytes.length);
    source?.bytes.copy(joined, block * BLOCK, source.at(block), (source.at(block) ?? 0) + BLOCK);
  }
  return joined;
}

function incremental(bytes: Buffer): {
  bytes: Buffer;
  at: (block: number) => number | undefined;
  length: number;
  whole: boolean;
} {
  if (bytes.readUInt32LE(0) !== 0xd3ae1f0d) throw new Error('no incremental file');
  const count = bytes.readUInt32LE(4);
  const header = count === 0 ? 12 : Math.ceil((12 + 4 * count) / BLOCK) * BLOCK;
  const places = new Map<number, number>();
  for (let i = 0; i < count; i++) places.set(bytes.readUInt32LE(12 + 4 * i), header + i * BLOCK);
  const length = Math.max(bytes.readUInt32LE(8), ...[...places.keys()].map((block) => block + 1));
  if (bytes.length !== header + count * BLOCK) throw new Error('an incremental file of a wrong size');
  return { bytes, at: (block) => places.get(block), length, whole: false };
}
