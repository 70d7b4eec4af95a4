/**
 * What every object says of itself: a small JSON document in a zstd skippable frame, which `zstd -d` passes over (FORMAT.md).
 *
 * ```
 * u32 LE  0x184D2A57          magic of a skippable frame
 * u32 LE  n                   bytes that follow in the frame
 * n - 4   JSON, UTF-8, padded with spaces
 * u32 LE  CRC-32C of everything above
 * ```
 * At the head of an object the document also holds length and CRC-32C of all bytes after it, so that a flipped bit anywhere is
 * seen without decompressing. Objects streamed from files that change (parts, dumps) carry such a frame of exactly `TAIL_BYTES` at
 * their end instead, about the bytes before it.
 *
 * Everything here is untrusted input on the way in: bounded, checked field by field.
 */
import { hasCode, WalholdError } from '../base/errors.ts';
import { crc32c } from '../stream/checksum.ts';

const MAGIC = 0x184d2a57;
const OVERHEAD_BYTES = 12;
/** One ranged read of so many bytes from the start holds any head. */
export const HEAD_MAX_BYTES = 4096;
/** The frame at the end of streamed objects. */
export const TAIL_BYTES = 1024;

export type ObjectKind =
  'segment' | 'partial' | 'history' | 'backup-label' | 'backup-manifest' | 'backup-part' | 'backup-config';

/** What an object is, whatever its bytes. */
export interface ObjectAbout {
  kind: ObjectKind;
  /** The WAL file's name, or `<backup id>/<file>`. */
  name: string;
  /** Decimal. */
  systemId: string;
  /** Who stored it: `walhold 1.2.3 on host`. */
  by?: string;
  /** When, by the writer's clock: ISO 8601 UTC. */
  at?: string;
  /** WAL segments and partials, all optional for ever: the range, as PostgreSQL prints LSNs, and the commits found in it. */
  startLsn?: string;
  endLsn?: string;
  /** ISO 8601 UTC with microseconds. */
  firstCommitAt?: string;
  lastCommitAt?: string;
  commits?: number;
}

/** A head: what it is, its plain content, and the stored bytes after the frame (for a tail: before it). */
export interface ObjectHead extends ObjectAbout {
  format: 1;
  /**
   * SHA-256 in hex of the plain content; in the tail of a streamed object, whose files have digests of their own, of the stored
   * bytes before it.
   */
  sha256: string;
  /** Size of the plain content. */
  bytes: number;
  /** Stored bytes beside this frame, and their CRC-32C. */
  storedBytes: number;
  storedCrc32c: number;
}

/** The frame for a head, as short as it gets. */
export function formatHead(head: ObjectHead): Buffer {
  return frameOf(Buffer.from(JSON.stringify(head), 'utf8'));
}

/** The frame for a tail: `TAIL_BYTES` long. */
export function formatTail(tail: ObjectHead): Buffer {
  const json = JSON.stringify(tail);
  return frameOf(Buffer.from(json.padEnd(TAIL_BYTES - OVERHEAD_BYTES, ' '), 'utf8'));
}

function frameOf(json: Buffer): Buffer {
  const frame = Buffer.alloc(json.length + OVERHEAD_BYTES);
  if (frame.length > HEAD_MAX_BYTES) throw new WalholdError('bad-format', 'an object description is too long');
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(json.length + 4, 4);
  json.copy(frame, 8);
  frame.writeUInt32LE(crc32c(frame.subarray(0, frame.length - 4)), frame.length - 4);
  return frame;
}

/** A head and where the content begins. */
export interface ParsedHead {
  head: ObjectHead;
  /** Bytes of the frame: the content starts there. */
  frameBytes: number;
}

/**
 * Reads the frame at the start of `bytes` (the object's first `HEAD_MAX_BYTES`, or all of it). `object` is for the message.
 * Throws `damaged` for anything that is not a whole, fitting document of a format this version knows.
 */
export function parseHead(bytes: Uint8Array, object: string): ParsedHead {
  const { json, frameBytes } = frameText(bytes, object);
  return { head: parseDocument(json, object), frameBytes };
}

function frameText(bytes: Uint8Array, object: string): { json: string; frameBytes: number } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < OVERHEAD_BYTES || buffer.readUInt32LE(0) !== MAGIC)
    throw damaged(object, 'it has no description');
  const frameBytes = 8 + buffer.readUInt32LE(4);
  if (frameBytes < OVERHEAD_BYTES || frameBytes > HEAD_MAX_BYTES)
    throw damaged(object, 'its description has no sane length');
  if (frameBytes > buffer.length) throw damaged(object, 'it ends within its description');
  const sum = buffer.readUInt32LE(frameBytes - 4);
  if (crc32c(buffer.subarray(0, frameBytes - 4)) !== sum) throw damaged(object, "its description's checksum is wrong");
  return { json: buffer.toString('utf8', 8, frameBytes - 4), frameBytes };
}

/**
 * Whether the bytes begin with a sound frame of a format that only a newer version reads: no ground to call the object damaged for
 * good. `bytes` as for `parseHead`.
 */
export function isOfNewerFormat(bytes: Uint8Array): boolean {
  try {
    const { format } = JSON.parse(frameText(bytes, 'it').json) as { format?: unknown };
    return typeof format === 'number' && Number.isInteger(format) && format > 1;
  } catch {
    return false;
  }
}

/** Reads the tail: `bytes` are the object's last `TAIL_BYTES`. */
export function parseTail(bytes: Uint8Array, object: string): ObjectHead {
  const { head, frameBytes } = parseHead(bytes, object);
  if (frameBytes !== TAIL_BYTES || bytes.length !== TAIL_BYTES) throw damaged(object, 'its end has the wrong length');
  return head;
}

function parseDocument(json: string, object: string): ObjectHead {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw damaged(object, 'its description is not JSON', error);
  }
  if (typeof value !== 'object' || value === null) throw damaged(object, 'its description is not an object');
  const fields = value as Record<string, unknown>;
  if (fields['format'] !== 1) {
    throw new WalholdError('damaged', `could not read ${object}`, {
      detail: `its format is ${String(fields['format']).slice(0, 20)}, this version reads 1`,
      hint: 'Read it with a newer version of walhold.',
    });
  }
  for (const [name, fits] of Object.entries(FIELDS)) {
    if (!fits(fields[name])) throw damaged(object, `the field ${name} of its description is wrong`);
  }
  return value as ObjectHead;
}

const text = (max: number) => (value: unknown) => typeof value === 'string' && value.length <= max;
const size = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const optional = (fits: (value: unknown) => boolean) => (value: unknown) => value === undefined || fits(value);
const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);
const LSN = matches(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const TIME = matches(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/);

const FIELDS: Readonly<Record<Exclude<keyof ObjectHead, 'format'>, (value: unknown) => boolean>> = {
  kind: text(40),
  name: text(200),
  systemId: matches(/^\d{1,20}$/),
  by: optional(text(200)),
  at: optional(TIME),
  startLsn: optional(LSN),
  endLsn: optional(LSN),
  firstCommitAt: optional(TIME),
  lastCommitAt: optional(TIME),
  commits: optional(size),
  sha256: matches(/^[0-9a-f]{64}$/),
  bytes: size,
  storedBytes: size,
  storedCrc32c: (value) => size(value) && (value as number) <= 0xffffffff,
};

/** The refusal of an object whose own checks fail. */
export function damaged(object: string, detail: string, cause?: unknown): WalholdError {
  return new WalholdError('damaged', `could not trust ${object}`, {
    detail,
    hint: 'Read it from another repository, or see "walhold verify".',
    cause,
  });
}

/** What was thrown while the object was read; where its bytes are wrong the answer says whose they are. */
export function namingObject(error: unknown, object: string): unknown {
  if (!hasCode(error, 'damaged', 'bad-format') || error.message.includes(object)) return error;
  return damaged(object, error.detail === undefined ? error.message : `${error.message}: ${error.detail}`);
}
