import { createHash, type Hash } from 'node:crypto';
import { formatLsn, type Lsn } from './lsn.ts';
import type { TimelineId } from './timeline.ts';

/** One file of a backup. */
export interface ManifestFile {
  /** Relative to the data directory; a Buffer only where the name's bytes are not UTF-8. */
  readonly path: string | Buffer;
  readonly size: number;
  /** Seconds since 1970: the manifest holds no fractions. */
  readonly modifiedAt: number;
  /** 64 hex digits, lower case. */
  readonly sha256: string;
}

/** WAL that must be replayed before the backup is consistent. */
export interface ManifestWalRange {
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
}

/**
 * Writes a `backup_manifest` byte for byte in PostgreSQL's layout (backup/backup_manifest.c): call `head` once, `file`
 * for each file, `tail` once, and write what each returns, in order. With `systemId` it is version 2, which readers of 17
 * and later know; without, version 1.
 */
export class ManifestWriter {
  readonly #hash: Hash = createHash('sha256');
  #separator = '\n';

  head(systemId?: bigint): string {
    const version = systemId === undefined ? 1 : 2;
    const identity = systemId === undefined ? '' : `"System-Identifier": ${systemId},\n`;
    return this.#add(`{ "PostgreSQL-Backup-Manifest-Version": ${version},\n${identity}"Files": [`);
  }

  file({ path, size, modifiedAt, sha256 }: ManifestFile): string {
    const name =
      typeof path === 'string' ? `"Path": ${JSON.stringify(path)}` : `"Encoded-Path": "${path.toString('hex')}"`;
    const line =
      `${this.#separator}{ ${name}, "Size": ${size}, "Last-Modified": "${formatModified(modifiedAt)}", ` +
      `"Checksum-Algorithm": "SHA256", "Checksum": "${sha256}" }`;
    this.#separator = ',\n';
    return this.#add(line);
  }

  tail(ranges: readonly ManifestWalRange[]): string {
    const lines = ranges.map(
      ({ timeline, startLsn, endLsn }) =>
        `{ "Timeline": ${timeline}, "Start-LSN": "${formatLsn(startLsn)}", "End-LSN": "${formatLsn(endLsn)}" }`,
    );
    const text = this.#add(`\n],\n"WAL-Ranges": [\n${lines.join(',\n')}\n],\n`);
    return `${text}"Manifest-Checksum": "${this.#hash.digest('hex')}"}\n`;
  }

  #add(text: string): string {
    this.#hash.update(text);
    return text;
  }
}

/** A file's name as the manifest takes it: text where its bytes are UTF-8, else the bytes. */
export function manifestPath(name: Buffer): string | Buffer {
  const text = name.toString('utf8');
  return Buffer.from(text, 'utf8').equals(name) ? text : name;
}

function formatModified(seconds: number): string {
  const iso = new Date(Math.floor(seconds) * 1000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} GMT`;
}
