import { createHash, randomBytes } from 'node:crypto';
import { crc32c } from '@node-rs/crc32';

export interface FakeVersion {
  id: string;
  /** None: a delete marker. */
  bytes: Buffer | undefined;
  etag: string;
  storedAt: Date;
  /** What it was stored with (of a multipart upload: what that was begun with). */
  headers: Readonly<Record<string, string | undefined>>;
  checksumType: string;
}

export interface FakeUpload {
  key: string;
  headers: FakeVersion['headers'];
  begunAt: Date;
  parts: Map<number, { bytes: Buffer; etag: string; sum: string }>;
}

/** A versioned bucket. Nothing is ever removed from it but unfinished uploads. */
export class FakeBucket {
  /** Newest last. */
  readonly versions: Map<string, FakeVersion[]> = new Map();
  readonly uploads: Map<string, FakeUpload> = new Map();

  /** The current version, if the name is not free. */
  current(key: string): FakeVersion | undefined {
    const version = this.versions.get(key)?.at(-1);
    return version?.bytes === undefined ? undefined : version;
  }

  /** Whether a delete marker hides the name. */
  isHidden(key: string): boolean {
    const version = this.versions.get(key)?.at(-1);
    return version !== undefined && version.bytes === undefined;
  }

  add(key: string, bytes: Buffer | undefined, about: Partial<FakeVersion> = {}): FakeVersion {
    const version: FakeVersion = {
      id: randomBytes(8).toString('hex'),
      bytes,
      etag: `"${md5(bytes ?? Buffer.alloc(0))}"`,
      storedAt: new Date(),
      headers: {},
      checksumType: 'FULL_OBJECT',
      ...about,
    };
    this.versions.set(key, [...(this.versions.get(key) ?? []), version]);
    return version;
  }

  /** What an attacker or a clumsy operator does. */
  hide(key: string): void {
    this.add(key, undefined);
  }

  /** Keys that can be seen, in the order of their bytes. */
  get keys(): string[] {
    return [...this.versions.keys()].filter((key) => this.current(key) !== undefined).sort();
  }

  begin(key: string, headers: FakeVersion['headers']): string {
    const id = randomBytes(8).toString('hex');
    this.uploads.set(id, { key, headers, begunAt: new Date(), parts: new Map() });
    return id;
  }
}

export function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

export function crc32cText(bytes: Buffer): string {
  const text = Buffer.alloc(4);
  text.writeUInt32BE(crc32c(bytes));
  return text.toString('base64');
}
