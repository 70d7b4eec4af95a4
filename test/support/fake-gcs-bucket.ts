import { crc32c } from '@node-rs/crc32';
import { refuse } from './fake-gcs-messages.ts';

export interface FakeRetention {
  mode: 'Unlocked' | 'Locked';
  retainUntilTime: string;
}

/** One generation of a name. */
export interface FakeGeneration {
  name: string;
  generation: bigint;
  metageneration: number;
  bytes: Buffer;
  createdMs: number;
  /** Since when it is noncurrent. */
  deletedMs?: number;
  retention?: FakeRetention;
  temporaryHold: boolean;
  eventBasedHold: boolean;
  kmsKey?: string;
  contentType?: string;
}

export interface FakeGcsBucketOptions {
  versioning?: boolean;
  /** Whether objects can be locked each. */
  objectRetention?: boolean;
  retentionPolicy?: { seconds: number; locked?: boolean };
  lifecycle?: readonly unknown[];
}

/** A bucket with Google's rules of generations, holds and retention. Time is that of `now`, in ms. */
export class FakeGcsBucket {
  readonly name: string;
  readonly options: FakeGcsBucketOptions;
  /** By name, oldest first. */
  readonly generations: Map<string, FakeGeneration[]> = new Map();
  readonly #now: () => number;
  static #latest = 0n;

  constructor(name: string, options: FakeGcsBucketOptions, now: () => number) {
    this.name = name;
    this.options = options;
    this.#now = now;
  }

  get names(): string[] {
    return [...this.generations.keys()].filter((name) => this.live(name) !== undefined).sort(byBytes);
  }

  live(name: string): FakeGeneration | undefined {
    return this.generations.get(name)?.find(({ deletedMs }) => deletedMs === undefined);
  }

  find(name: string, generation: string | null): FakeGeneration | undefined {
    if (generation === null) return this.live(name);
    return this.generations.get(name)?.find((one) => String(one.generation) === generation);
  }

  /** Stores without asking for rights or conditions: what somebody else has done. What was live is replaced. */
  add(name: string, bytes: Buffer, more: Partial<FakeGeneration> = {}): FakeGeneration {
    const live = this.live(name);
    if (live !== undefined) this.#setAside(live);
    const now = this.#now();
    const micros = BigInt(Math.round(now * 1000));
    FakeGcsBucket.#latest = micros > FakeGcsBucket.#latest ? micros : FakeGcsBucket.#latest + 1n;
    const made: FakeGeneration = {
      name,
      generation: FakeGcsBucket.#latest,
      metageneration: 1,
      bytes,
      createdMs: now,
      temporaryHold: false,
      eventBasedHold: false,
      ...more,
    };
    this.generations.set(name, [...(this.generations.get(name) ?? []), made]);
    return made;
  }

  /** Deletes the live object, which a bucket with versions sets aside; or one generation for good. */
  remove(name: string, generation: string | null): void {
    const found = this.find(name, generation);
    if (found === undefined) throw noObject(this, name);
    if (generation === null) this.#setAside(found);
    else this.#destroy(found);
  }

  #setAside(live: FakeGeneration): void {
    if (this.options.versioning === true) live.deletedMs = this.#now();
    else this.#destroy(live);
  }

  #destroy(one: FakeGeneration): void {
    if (one.temporaryHold || one.eventBasedHold) {
      throw refuse(
        403,
        'objectUnderActiveHold',
        `Object '${this.name}/${one.name}' is under active hold and cannot be deleted or overwritten.`,
      );
    }
    const free = this.freeAtMs(one);
    if (free !== undefined && free > this.#now()) {
      throw refuse(
        403,
        'retentionPolicyNotMet',
        `Object '${this.name}/${one.name}' is subject to retention and cannot be deleted or overwritten until ${new Date(free).toISOString()}`,
      );
    }
    const others = (this.generations.get(one.name) ?? []).filter((other) => other !== one);
    if (others.length === 0) this.generations.delete(one.name);
    else this.generations.set(one.name, others);
  }

  /** When it can be deleted: by its own retention and the bucket's policy, whichever is later. */
  freeAtMs({ retention, createdMs }: FakeGeneration): number | undefined {
    const { retentionPolicy } = this.options;
    const times = [
      ...(retention === undefined ? [] : [Date.parse(retention.retainUntilTime)]),
      ...(retentionPolicy === undefined ? [] : [createdMs + retentionPolicy.seconds * 1000]),
    ];
    return times.length === 0 ? undefined : Math.max(...times);
  }

  /** The object resource. */
  resource(one: FakeGeneration): Record<string, unknown> {
    const free = this.freeAtMs(one);
    return {
      kind: 'storage#object',
      bucket: this.name,
      name: one.name,
      generation: String(one.generation),
      metageneration: String(one.metageneration),
      size: String(one.bytes.byteLength),
      timeCreated: new Date(one.createdMs).toISOString(),
      crc32c: sumOf(one.bytes),
      ...(one.contentType === undefined ? {} : { contentType: one.contentType }),
      ...(one.deletedMs === undefined ? {} : { timeDeleted: new Date(one.deletedMs).toISOString() }),
      ...(one.retention === undefined ? {} : { retention: one.retention }),
      ...(free === undefined ? {} : { retentionExpirationTime: new Date(free).toISOString() }),
      ...(one.temporaryHold ? { temporaryHold: true } : {}),
      ...(one.eventBasedHold ? { eventBasedHold: true } : {}),
      ...(one.kmsKey === undefined ? {} : { kmsKeyName: `${one.kmsKey}/cryptoKeyVersions/1` }),
    };
  }
}

export function noObject(bucket: FakeGcsBucket, name: string): Error {
  return refuse(404, 'notFound', `No such object: ${bucket.name}/${name}`);
}

/** As the API writes it. */
export function sumOf(bytes: Buffer): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32c(bytes) >>> 0);
  return sum.toString('base64');
}

export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
