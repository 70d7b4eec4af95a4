import { createHash } from 'node:crypto';
import { WalholdError } from '../base/errors.ts';
import type { ManifestWalRange } from './backup-manifest.ts';
import { parseLsn } from './lsn.ts';
import { pathKey } from './path-key.ts';
import { checkRelativePath } from './relative-path.ts';
import { isTimelineId } from './timeline.ts';

/** A `backup_manifest` as read. */
export interface Manifest {
  readonly version: 1 | 2;
  /** Version 2 only. */
  readonly systemId: bigint | undefined;
  /** May be read anew from its bytes whenever they are gone through: as objects they take three times as much. */
  readonly files: Iterable<ManifestEntry>;
  readonly walRanges: readonly ManifestWalRange[];
}

export interface ParsedManifest extends Manifest {
  readonly files: readonly ManifestEntry[];
}

/** One file. Its path is checked: it names something below the data directory. */
export interface ManifestEntry {
  readonly path: string | Buffer;
  readonly size: number;
  /** Seconds since 1970. */
  readonly modifiedAt: number;
  readonly checksum: ManifestChecksum | undefined;
}

export interface ManifestChecksum {
  readonly algorithm: 'CRC32C' | 'SHA224' | 'SHA256' | 'SHA384' | 'SHA512';
  /** Lower case. */
  readonly hex: string;
}

/** 100 million bytes are some half a million files. */
const MOST_BYTES = 512 * 1024 * 1024;
const LONGEST_LINE = 64 * 1024;

const HEX_DIGITS: Readonly<Record<ManifestChecksum['algorithm'], number>> = {
  CRC32C: 8,
  SHA224: 56,
  SHA256: 64,
  SHA384: 96,
  SHA512: 128,
};

/**
 * Reads a `backup_manifest` in the layout that PostgreSQL and its tools write: one file to a line. First its own checksum
 * is proven, over every byte before the last line; then every line must be exactly what it should be. Paths are checked
 * and must differ from each other. Throws `damaged` where the checksum does not fit, `bad-format` for all else.
 */
export function openManifest(bytes: Buffer): Manifest {
  if (bytes.length > MOST_BYTES) throw bad(`it is ${bytes.length} bytes long, at most ${MOST_BYTES} are read`);
  verifyOwnChecksum(bytes);
  const lines = new Lines(bytes);
  const version = versionOf(lines.next());
  const systemId = version === 2 ? systemIdOf(lines.next()) : undefined;
  lines.expect('"Files": [');
  const start = lines.position;
  const seen = new Set<string>();
  for (const { path } of entries(lines)) {
    const key = pathKey(path);
    if (seen.has(key)) throw lines.wrong('names a path for the second time');
    seen.add(key);
  }
  const files = { [Symbol.iterator]: () => entries(lines.from(start)) };
  lines.expect('"WAL-Ranges": [');
  const walRanges: ManifestWalRange[] = [];
  for (const item of items(lines)) walRanges.push(walRangeOf(item, lines));
  lines.next();
  if (!lines.atEnd) throw lines.wrong('is not the last one');
  return { version, systemId, files, walRanges };
}

/** The same, with all its files in memory. */
export function parseManifest(bytes: Buffer): ParsedManifest {
  const manifest = openManifest(bytes);
  return { ...manifest, files: [...manifest.files] };
}

/** Throws `damaged` unless the last line holds the SHA-256 of every byte before it. */
function verifyOwnChecksum(bytes: Buffer): void {
  if (bytes.at(-1) !== 0x0a) throw bad('it does not end with a line break');
  const start = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
  const last = bytes.subarray(start, start + 200).toString('latin1');
  const match = /^"Manifest-Checksum": "([0-9a-fA-F]{64})"\}\n$/.exec(last);
  if (match?.[1] === undefined) throw bad('its last line is not the checksum');
  const found = createHash('sha256').update(bytes.subarray(0, start)).digest('hex');
  if (found !== match[1].toLowerCase()) {
    throw new WalholdError('damaged', 'the checksum of backup_manifest does not fit its contents', {
      detail: `it says ${match[1].toLowerCase()}, its bytes have ${found}`,
    });
  }
}

/** Its lines as text, one at a time: the whole as one string would double the memory. */
class Lines {
  readonly #bytes: Buffer;
  #at = 0;
  number = 0;

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Where the next line begins. */
  get position(): { at: number; number: number } {
    return { at: this.#at, number: this.number };
  }

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The lines from there on, once more. */
  from({ at, number }: { at: number; number: number }): Lines {
    const lines = new Lines(this.#bytes);
    lines.#at = at;
    lines.number = number;
    return lines;
  }

  next(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    this.number++;
    if (end < 0) throw bad('it ends too early');
    if (end - this.#at > LONGEST_LINE) throw this.wrong('is too long');
    const line = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return line;
  }

  expect(line: string): void {
    if (this.next() !== line) throw this.wrong(`is not ${line}`);
  }

  wrong(what: string): WalholdError {
    return bad(`line ${this.number} ${what}`);
  }
}

function versionOf(line: string): 1 | 2 {
  const match = /^\{ "PostgreSQL-Backup-Manifest-Version": ([0-9]{1,9}),$/.exec(line);
  if (match === null) throw bad('line 1 is not that of a backup manifest');
  const version = Number(match[1]);
  if (version !== 1 && version !== 2) throw bad(`its version is ${version}, known here are 1 and 2`);
  return version;
}

function systemIdOf(line: string): bigint {
  const match = /^"System-Identifier": ([0-9]{1,20}),$/.exec(line);
  if (match?.[1] === undefined) throw bad('line 2 is not a system identifier');
  return BigInt(match[1]);
}

function* entries(lines: Lines): Generator<ManifestEntry> {
  for (const item of items(lines)) yield entryOf(item, lines);
}

/** The objects of one list, each on its own line, up to the line that closes it. */
function* items(lines: Lines): Generator<Record<string, unknown>> {
  for (let more = true; more;) {
    const line = lines.next();
    // An empty list has its line break nevertheless.
    if (line === '') continue;
    if (line === '],') return;
    more = line.endsWith(',');
    yield objectOf(more ? line.slice(0, -1) : line, lines);
  }
  lines.expect('],');
}

function objectOf(text: string, lines: Lines): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw lines.wrong('is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw lines.wrong('is not a JSON object');
  return value as Record<string, unknown>;
}

function entryOf(item: Record<string, unknown>, lines: Lines): ManifestEntry {
  const { Path: path, 'Encoded-Path': encoded, Size: size, 'Last-Modified': modified, ...rest } = item;
  const { 'Checksum-Algorithm': algorithm, Checksum: checksum, ...unknown } = rest;
  const extra = Object.keys(unknown)[0];
  if (extra !== undefined) throw lines.wrong(`has the unknown field ${JSON.stringify(extra.slice(0, 40))}`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw lines.wrong('has no valid Size');
  return {
    path: pathOf(path, encoded, lines),
    size,
    modifiedAt: modifiedOf(modified, lines),
    checksum: checksumOf(algorithm, checksum, lines),
  };
}

function pathOf(path: unknown, encoded: unknown, lines: Lines): string | Buffer {
  if (typeof path === 'string' && encoded === undefined) {
    const fault = checkRelativePath(path);
    if (fault !== undefined) throw lines.wrong(`is refused: its ${fault}`);
    return path;
  }
  if (path !== undefined || typeof encoded !== 'string' || !/^(?:[0-9a-fA-F]{2})+$/.test(encoded)) {
    throw lines.wrong('needs either a Path or an Encoded-Path');
  }
  const bytes = Buffer.from(encoded, 'hex');
  // Latin-1 keeps slashes, dots and zero bytes what they are; the limits then count characters, a little too strictly.
  const fault = checkRelativePath(bytes.toString('latin1'));
  if (fault !== undefined) throw lines.wrong(`is refused: its ${fault}`);
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : bytes;
}

function modifiedOf(value: unknown, lines: Lines): number {
  const match = /^([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) GMT$/.exec(
    typeof value === 'string' ? value : '',
  );
  const ms = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`);
  if (Number.isNaN(ms)) throw lines.wrong('has no valid Last-Modified');
  return ms / 1000;
}

function checksumOf(algorithm: unknown, checksum: unknown, lines: Lines): ManifestChecksum | undefined {
  if (algorithm === undefined && checksum === undefined) return undefined;
  if (typeof algorithm !== 'string' || !isAlgorithm(algorithm) || typeof checksum !== 'string') {
    throw lines.wrong('has no valid Checksum');
  }
  if (checksum.length !== HEX_DIGITS[algorithm] || !/^[0-9a-fA-F]+$/.test(checksum)) {
    throw lines.wrong(`has a Checksum that is no ${algorithm}`);
  }
  return { algorithm, hex: checksum.toLowerCase() };
}

function isAlgorithm(name: string): name is ManifestChecksum['algorithm'] {
  return Object.hasOwn(HEX_DIGITS, name);
}

function walRangeOf(item: Record<string, unknown>, lines: Lines): ManifestWalRange {
  const { Timeline: timeline, 'Start-LSN': start, 'End-LSN': end } = item;
  const startLsn = typeof start === 'string' ? parseLsn(start) : undefined;
  const endLsn = typeof end === 'string' ? parseLsn(end) : undefined;
  if (typeof timeline !== 'number' || !isTimelineId(timeline) || startLsn === undefined || endLsn === undefined) {
    throw lines.wrong('is no valid WAL range');
  }
  if (endLsn < startLsn) throw lines.wrong('is a WAL range that ends before it starts');
  return { timeline, startLsn, endLsn };
}

function bad(what: string): WalholdError {
  return new WalholdError('bad-format', 'could not read backup_manifest', { detail: what });
}
