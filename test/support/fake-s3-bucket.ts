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
  retention?: FakeRetention | undefined;
  /** None: it never had one. */
  hold?: 'ON' | 'OFF' | undefined;
}

export interface FakeRetention {
  mode: 'GOVERNANCE' | 'COMPLIANCE';
  until: Date;
}

export interface FakeBucketOptions {
  /** On, unless told otherwise. */
  versioning?: 'on' | 'suspended' | 'off';
  /** Objects can be locked, new ones are by themselves if there is a default. */
  lock?: { byDefault?: { mode: FakeRetention['mode']; days: number } };
  /** Rules as S3 shows them. */
  lifecycle?: string;
  /** A policy that refuses writes without `If-None-Match`. */
  demandsCondition?: boolean;
}

export interface FakeUpload {
  key: string;
  headers: FakeVersion['headers'];
  /** Asked for at its beginning. */
  lock: Pick<FakeVersion, 'retention' | 'hold'>;
  begunAt: Date;
  parts: Map<number, { bytes: Buffer; etag: string; sum: string }>;
}

/** A bucket, versioned unless told otherwise. */
export class FakeBucket {
  options: FakeBucketOptions;
  /** The server's clock. */
  readonly now: () => Date;

  /** Newest last. */
  readonly versions: Map<string, FakeVersion[]> = new Map();
  readonly uploads: Map<string, FakeUpload> = new Map();

  constructor(now: () => Date = () => new Date(), options: FakeBucketOptions = {}) {
    this.now = now;
    this.options = options;
  }

  get isVersioned(): boolean {
    return (this.options.versioning ?? 'on') === 'on';
  }

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
      id: this.isVersioned ? randomBytes(8).toString('hex') : 'null',
      bytes,
      etag: `"${md5(bytes ?? Buffer.alloc(0))}"`,
      storedAt: this.now(),
      headers: {},
      checksumType: 'FULL_OBJECT',
      ...about,
    };
    const others = (this.versions.get(key) ?? []).filter(({ id }) => id !== version.id);
    this.versions.set(key, [...others, version]);
    return version;
  }

  /** What an attacker or a clumsy operator does. Without versions the object is gone. */
  hide(key: string): FakeVersion | undefined {
    if (this.options.versioning !== 'off') return this.add(key, undefined);
    this.versions.delete(key);
    return undefined;
  }

  /** A version or a marker; `undefined`: there is none of that name. */
  version(key: string, id: string): FakeVersion | undefined {
    return this.versions.get(key)?.find((version) => version.id === id);
  }

  remove(key: string, id: string): void {
    const left = (this.versions.get(key) ?? []).filter((version) => version.id !== id);
    if (left.length > 0) this.versions.set(key, left);
    else this.versions.delete(key);
  }

  /** Keys that can be seen, in the order of their bytes. */
  get keys(): string[] {
    return [...this.versions.keys()].filter((key) => this.current(key) !== undefined).sort();
  }

  begin(key: string, headers: FakeVersion['headers'], lock: FakeUpload['lock'] = {}): string {
    const id = randomBytes(8).toString('hex');
    this.uploads.set(id, { key, headers, lock, begunAt: this.now(), parts: new Map() });
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
