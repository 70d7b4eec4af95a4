import { hasCode } from '../base/errors.ts';
import type { GcsClient } from './gcs-client.ts';
import { isTaken, refusalOf } from './gcs-errors.ts';
import type { GcsPlace } from './gcs-place.ts';
import type { GcsReader } from './gcs-read.ts';
import { deleteObject } from './gcs-delete.ts';
import { insert, uploadQuery, type GcsObjectOptions } from './gcs-write.ts';
import { addCrc32c } from './checksum.ts';
import { requireObjectKey } from './object-key.ts';
import type { StoreProbe } from './store.ts';

const WRONG_SUM = 0xbad;

/** What an attacker with these credentials, or a careless server, would do; see `StoreProbe`. */
export function gcsProbe(
  client: GcsClient,
  place: GcsPlace,
  reader: GcsReader,
  objects: GcsObjectOptions,
): Required<Omit<StoreProbe, 'encryption'>> {
  return {
    async createWithWrongChecksum(key, bytes, { signal }) {
      requireObjectKey(key);
      const what = `store ${place.url}/${key}`;
      try {
        const query = uploadQuery('multipart', objects);
        await insert(client, place, key, bytes, { ...objects, what, signal, sum: WRONG_SUM, query });
        return 'created';
      } catch (error) {
        if (isTaken(error)) return 'exists';
        throw error;
      }
    },

    async overwrite(key, bytes, { signal }) {
      requireObjectKey(key);
      const what = `overwrite ${place.url}/${key}`;
      const { ifGenerationMatch: _, ...query } = uploadQuery('multipart', objects);
      return attempted(() =>
        insert(client, place, key, bytes, { ...objects, what, signal, sum: addCrc32c(0, bytes), query }),
      );
    },

    async remove(key, { signal }) {
      requireObjectKey(key);
      const what = `delete ${place.url}/${key}`;
      const generation = (await reader.object(what, key, { signal }))?.generation;
      const name = await attempted(() => deleteObject(client, place, { what, key, signal }));
      if (generation === undefined) return { name, version: 'untried' };
      try {
        return { name, version: await attempted(() => deleteObject(client, place, { what, key, generation, signal })) };
      } catch (error) {
        // The name's deletion took it along.
        if (refusalOf(error)?.status !== 404) throw error;
        return { name, version: 'untried' };
      }
    },
  };
}

async function attempted(attack: () => Promise<unknown>): Promise<'refused' | 'accepted'> {
  try {
    await attack();
    return 'accepted';
  } catch (error) {
    if (hasCode(error, 'denied') || refusalOf(error)?.status === 412) return 'refused';
    throw error;
  }
}
