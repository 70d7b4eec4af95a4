import { WalholdError } from '../base/errors.ts';
import { bucketProtection } from './gcs-bucket.ts';
import { lockAdvice, NO_OBJECT_RETENTION } from './gcs-lock-advice.ts';
import type { GcsClient } from './gcs-client.ts';
import { notGcs, refusalOf } from './gcs-errors.ts';
import { GCS_MODES, gcsObject, OBJECT_FIELDS, protectionOf, type GcsObject } from './gcs-object.ts';
import type { GcsPlace } from './gcs-place.ts';
import type { GcsReader } from './gcs-read.ts';
import { isAsStrict } from './lock-proof.ts';
import type { ReadOptions, Retention, StoreLocks } from './store.ts';

/** Object retention (Unlocked is `governance`, Locked is `compliance`), temporary holds, and what the bucket says. */
export function gcsLocks(client: GcsClient, place: GcsPlace, reader: GcsReader): StoreLocks {
  const existing = async (what: string, key: string, options: ReadOptions): Promise<GcsObject> => {
    const object = await reader.object(what, key, options);
    if (object !== undefined) return object;
    throw new WalholdError('not-found', `could not ${what}`, { detail: 'it is not in the bucket' });
  };

  const patch = async (what: string, key: string, change: Change, options: ReadOptions): Promise<GcsObject> => {
    const { object, query, fields } = change;
    const request = {
      method: 'PATCH',
      path: place.objectPath(key),
      // What was read must still be so: another's longer lock must not be shortened by ours.
      query: {
        generation: object.generation,
        ifMetagenerationMatch: object.metageneration,
        fields: OBJECT_FIELDS,
        ...query,
      },
      headers: { 'content-type': 'application/json' },
      body: [Buffer.from(JSON.stringify(fields))],
    } as const;
    try {
      const { body } = await place.ask(what, options.signal, (once) => client.json(request, once.abortSignal));
      const changed = gcsObject(body);
      if (changed?.generation !== object.generation) throw notGcs(what, 'description of the object');
      return changed;
    } catch (error) {
      throw patchRefused(what, error, fields);
    }
  };

  return {
    async look(key, options) {
      const object = await reader.object(`look at the locks of ${place.url}/${key}`, key, options);
      return object === undefined ? undefined : protectionOf(object, client.now());
    },

    async retain(key, asked, options) {
      const what = `lock ${place.url}/${key}`;
      const object = await existing(what, key, options);
      const held = inForce(object, client.now());
      if (held !== undefined && covers(held, asked)) return held;
      const wanted = joined(held, asked);
      const fields = { retention: { mode: GCS_MODES[wanted.mode], retainUntilTime: wanted.until.toISOString() } };
      const stricter = held?.mode === 'governance' && wanted.mode === 'compliance';
      // A right of its own (storage.objects.overrideUnlockedRetention), so asked for where it is needed only.
      const query: Record<string, string> = stricter ? { overrideUnlockedRetention: 'true' } : {};
      const changed = await patch(what, key, { object, query, fields }, options);
      if (changed.retention !== undefined && covers(changed.retention, wanted)) return changed.retention;
      throw new WalholdError('unlocked', `could not ${what}`, {
        detail: 'the store took the lock and does not show it',
        hint: 'Check gcs_endpoint: what answers there does not keep locks.',
      });
    },

    async hold(key, on, options) {
      const what = `${on ? 'hold' : 'release'} ${place.url}/${key}`;
      const object = await existing(what, key, options);
      await patch(what, key, { object, query: {}, fields: { temporaryHold: on } }, options);
    },

    bucket: (options) => bucketProtection(client, place, options),
    mend: (lock, options) => lockAdvice(client, place, lock, options),
  };
}

interface Change {
  object: GcsObject;
  query: Record<string, string>;
  fields: { retention: { mode: string; retainUntilTime: string } } | { temporaryHold: boolean };
}

type OwnRetention = Retention & { mode: 'governance' | 'compliance' };

/** The object's own, unless it has run out: what else may keep it (the bucket's policy) is of another mode. */
function inForce({ retention }: GcsObject, now: number): OwnRetention | undefined {
  return retention !== undefined && retention.until.getTime() > now ? retention : undefined;
}

function covers(held: OwnRetention, asked: OwnRetention): boolean {
  return isAsStrict(held.mode, asked.mode) && held.until.getTime() >= asked.until.getTime();
}

/** The stricter mode and the later date of both. */
function joined(held: OwnRetention | undefined, asked: OwnRetention): OwnRetention {
  if (held === undefined) return asked;
  return {
    mode: isAsStrict(held.mode, asked.mode) ? held.mode : asked.mode,
    until: held.until > asked.until ? held.until : asked.until,
  };
}

function patchRefused(what: string, error: unknown, fields: Change['fields']): unknown {
  const refusal = refusalOf(error);
  if (refusal?.status === 412) {
    const detail = 'somebody else changed it at the same time';
    return new WalholdError('unreachable', `could not ${what}`, { detail, cause: error });
  }
  if (refusal?.status !== 400 || !('retention' in fields)) return error;
  const detail = `the lock was refused: ${refusal.message}`;
  return new WalholdError('unlocked', `could not ${what}`, { detail, hint: NO_OBJECT_RETENTION, cause: error });
}
