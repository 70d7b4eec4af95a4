import { WalholdError } from '../base/errors.ts';
import { ManifestWriter } from './backup-manifest.ts';
import { plainPath } from './incremental-file.ts';
import type { Manifest, ManifestEntry } from './manifest-reader.ts';

/**
 * The manifest of what an incremental backup is after its chain is joined: incremental files become what they were joined to, everything
 * else stays. `replaced`: size and SHA-256 (64 hex digits) of joined files by their paths, and of what else was written anew. Throws
 * `damaged` where a file of the manifest was not joined.
 */
export function joinedManifest(
  { systemId, files, walRanges }: Manifest,
  replaced: ReadonlyMap<string, { size: number; sha256: string }>,
): Buffer {
  const writer = new ManifestWriter();
  const chunks = [Buffer.from(writer.head(systemId))];
  for (const entry of files) chunks.push(Buffer.from(writer.file(joinedEntry(entry, replaced))));
  chunks.push(Buffer.from(writer.tail(walRanges)));
  return Buffer.concat(chunks);
}

function joinedEntry(
  { path, size, modifiedAt, checksum }: ManifestEntry,
  replaced: ReadonlyMap<string, { size: number; sha256: string }>,
): Parameters<ManifestWriter['file']>[0] {
  const plain = typeof path === 'string' ? plainPath(path) : undefined;
  const joined = typeof path === 'string' ? replaced.get(plain ?? path) : undefined;
  if (joined !== undefined) return { path: plain ?? path, modifiedAt, ...joined };
  if (plain !== undefined || checksum?.algorithm !== 'SHA256') {
    throw new WalholdError('damaged', `nothing was joined to ${path.toString().slice(0, 200)}`);
  }
  return { path, size, modifiedAt, sha256: checksum.hex };
}
