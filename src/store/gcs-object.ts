import { parseChecksum } from './checksum.ts';
import type { ObjectInfo, Protection, Retention } from './store.ts';

/** An object resource of the JSON API, as far as it is used here. One generation of a name. */
export interface GcsObject {
  name: string;
  generation: string;
  metageneration: string;
  bytes: number;
  storedAt: Date;
  /** CRC-32C of the bytes. */
  sum: number | undefined;
  /** No: replaced or deleted, and kept by the bucket's versioning. */
  live: boolean;
  /** The object's own configuration, whether it has run out or not. */
  retention: { mode: 'governance' | 'compliance'; until: Date } | undefined;
  /** When the object falls free by everything that the server knows of, the bucket's policy included. */
  freeAt: Date | undefined;
  hold: boolean;
}

/** The fields that `gcsObject` reads, for requests that may ask for no more. */
export const OBJECT_FIELDS =
  'name,generation,metageneration,size,timeCreated,timeDeleted,crc32c,retention,retentionExpirationTime,temporaryHold,eventBasedHold';

/** GCS's names of the modes. */
export const GCS_MODES = { governance: 'Unlocked', compliance: 'Locked' } as const;

/** Reads an object resource; `undefined` for what is none. */
export function gcsObject(json: unknown): GcsObject | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const raw = json as Record<string, unknown>;
  const text = (name: string): string | undefined => {
    const value = raw[name];
    return typeof value === 'string' ? value : undefined;
  };
  const [name, generation] = [text('name'), text('generation')];
  // Where it is 0 some servers leave it out.
  const bytes = Number(raw['size'] ?? '0');
  const storedAt = dateOf(raw['timeCreated']);
  if (name === undefined || generation === undefined || !/^\d+$/.test(generation)) return undefined;
  if (!Number.isSafeInteger(bytes) || storedAt === undefined) return undefined;
  return {
    name,
    generation,
    metageneration: text('metageneration') ?? '',
    bytes,
    storedAt,
    sum: parseChecksum(text('crc32c')),
    live: dateOf(raw['timeDeleted']) === undefined,
    retention: retentionOf(raw['retention']),
    freeAt: dateOf(raw['retentionExpirationTime']),
    hold: raw['temporaryHold'] === true || raw['eventBasedHold'] === true,
  };
}

function retentionOf(json: unknown): GcsObject['retention'] {
  const { mode, retainUntilTime } = (json ?? {}) as { mode?: unknown; retainUntilTime?: unknown };
  const until = dateOf(retainUntilTime);
  if (until === undefined) return undefined;
  if (mode === GCS_MODES.governance) return { mode: 'governance', until };
  return mode === GCS_MODES.compliance ? { mode: 'compliance', until } : undefined;
}

/** Some servers send the year 1 for "never". */
function dateOf(json: unknown): Date | undefined {
  const time = typeof json === 'string' ? Date.parse(json) : NaN;
  return time > 0 ? new Date(time) : undefined;
}

/** What is told of it to the callers of the store. `now`: the store's time. */
export function infoOf(object: GcsObject, key: string, now: number): ObjectInfo & { version: string } {
  return {
    key,
    bytes: object.bytes,
    storedAt: object.storedAt,
    tag: object.generation,
    version: object.generation,
    protection: protectionOf(object, now),
  };
}

export function protectionOf(object: GcsObject, now: number): Protection {
  return { retention: inForce(object, now), hold: object.hold };
}

/** The object's own retention, which says how strict it is; when that is over, what else keeps the object. */
function inForce({ retention, freeAt }: GcsObject, now: number): Retention | undefined {
  if (retention !== undefined && retention.until.getTime() > now) return retention;
  if (freeAt !== undefined && freeAt.getTime() > now) return { mode: 'policy', until: freeAt };
  return undefined;
}
