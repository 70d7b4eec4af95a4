import type { GcsClient } from './gcs-client.ts';
import type { GcsPlace } from './gcs-place.ts';

/** One generation; without one the live object, which a bucket that keeps versions sets aside. */
export async function deleteObject(
  client: GcsClient,
  place: GcsPlace,
  options: { what: string; key: string; generation?: string; signal: AbortSignal },
): Promise<void> {
  const { what, key, generation, signal } = options;
  const query = generation === undefined ? {} : { generation };
  const request = { method: 'DELETE', path: place.objectPath(key), query } as const;
  await place.ask(what, signal, (once) => client.json(request, once.abortSignal));
}
