/**
 * A part whose record was lost with the process that made it: what it holds, read from its own bytes. Its length, CRC-32C and SHA-256
 * must be those of its tail, every member one that a backup writes, and each frame must begin with a member.
 */
import { createHash, type Hash } from 'node:crypto';
import type { CallOptions } from '../store/store.ts';
import { crc32c } from '../stream/checksum.ts';
import { FrameReader } from '../stream/zstd.ts';
import { oldestAuthentic } from './authentic.ts';
import type { StoredRecord } from './backup-record.ts';
import { partKey, type BackupId } from './layout.ts';
import type { PageForm } from './member-pages.ts';
import { MemberReader, type ReadMember } from './member-reader.ts';
import { damaged, parseTail, TAIL_BYTES, type ObjectKind } from './object-head.ts';
import type { Repository } from './repository.ts';

export interface StoredPart extends StoredRecord {
  number: number;
  /** The last one ends the archive, and has no members. */
  frames: readonly StoredFrame[];
}

export interface StoredFrame {
  offset: number;
  storedBytes: number;
  plainBytes: number;
  members: readonly ReadMember[];
}

export interface StoredPartOptions extends CallOptions {
  systemId: bigint;
  /** `undefined`: there are none in it, or nobody asks for them. */
  pages: PageForm | undefined;
  /** Told of stored bytes as they are read. */
  passed?: (bytes: number) => void;
}

/** Reads the whole part. `undefined`: proven absent. Throws `damaged`. */
export async function readStoredPart(
  repository: Pick<Repository, 'store' | 'url'>,
  id: BackupId,
  number: number,
  options: StoredPartOptions,
): Promise<StoredPart | undefined> {
  const found = await readStoredObject(repository, { key: partKey(id, number), kind: 'backup-part' }, options);
  return found === undefined ? undefined : { number, ...found };
}

/** {@link readStoredPart} for anything that is built as a part is. */
export async function readStoredObject(
  { store, url }: Pick<Repository, 'store' | 'url'>,
  { key, kind }: { key: string; kind: ObjectKind },
  { signal, systemId, pages, passed }: StoredPartOptions,
): Promise<Omit<StoredPart, 'number'> | undefined> {
  return await oldestAuthentic(store, key, { signal }, async (which) => {
    const opened = await store.open(key, { signal, ...which });
    if (opened === undefined) return undefined;
    const reading = new PartReading(`${url}/${key}`, opened.info.bytes, pages);
    for await (const chunk of opened.chunks) {
      reading.write(chunk);
      passed?.(chunk.length);
    }
    return reading.end({ kind, name: key.slice(key.indexOf('/') + 1), systemId: String(systemId) });
  });
}

class PartReading {
  readonly #object: string;
  readonly #contentBytes: number;
  readonly #hash: Hash = createHash('sha256');
  readonly #tail: Buffer = Buffer.alloc(TAIL_BYTES);
  readonly #frames = new FrameReader();
  readonly #members: MemberReader;
  readonly #found: StoredFrame[] = [];
  #crc = 0;
  #read = 0;
  #plainBytes = 0;

  constructor(object: string, bytes: number, pages: StoredPartOptions['pages']) {
    this.#object = object;
    this.#contentBytes = bytes - TAIL_BYTES;
    this.#members = new MemberReader(pages);
    if (this.#contentBytes <= 0) throw damaged(object, `it has ${bytes} bytes`);
  }

  write(chunk: Uint8Array): void {
    const content = chunk.subarray(0, Math.max(0, this.#contentBytes - this.#read));
    const rest = chunk.subarray(content.length);
    const at = this.#read + content.length - this.#contentBytes;
    if (rest.length > 0 && at + rest.length > TAIL_BYTES) throw damaged(this.#object, 'it is longer than it was');
    this.#content(content);
    if (rest.length > 0) this.#tail.set(rest, at);
    this.#read += chunk.length;
  }

  /** After the last byte. */
  end(wanted: { kind: ObjectKind; name: string; systemId: string }): Omit<StoredPart, 'number'> {
    const object = this.#object;
    if (this.#read !== this.#contentBytes + TAIL_BYTES) throw damaged(object, 'it is shorter than it was');
    this.#frames.end();
    this.#members.end();
    const tail = parseTail(this.#tail, object);
    const sha256 = this.#hash.digest('hex');
    const fits = tail.sha256 === sha256 && tail.storedCrc32c === this.#crc && tail.storedBytes === this.#contentBytes;
    if (!fits || tail.bytes !== this.#plainBytes) throw damaged(object, 'its end describes other bytes');
    if (tail.kind !== wanted.kind || tail.name !== wanted.name || tail.systemId !== wanted.systemId) {
      throw damaged(object, `it says that it is ${tail.name} of cluster ${tail.systemId}`);
    }
    const { bytes: plainBytes } = tail;
    return { plainBytes, storedBytes: this.#read, sha256, crc32c: this.#crc, frames: this.#found };
  }

  #content(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#crc = crc32c(bytes, this.#crc);
    const from = this.#read;
    this.#frames.write(
      bytes,
      (plain) => this.#members.write(plain),
      (at) => this.#endFrame(from + at),
    );
  }

  #endFrame(at: number): void {
    const before = this.#found.at(-1);
    const offset = before === undefined ? 0 : before.offset + before.storedBytes;
    const { plainBytes, members } = this.#members.endFrame();
    this.#plainBytes += plainBytes;
    this.#found.push({ offset, storedBytes: at - offset, plainBytes, members });
  }
}
