import type { ServerSession } from './session.ts';

/** Settings by name, in their base units; those that do not exist, or that this user may not see, are missing. Throws `server`. */
export async function readSettings(
  session: ServerSession,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await session.rows(
    'look at the settings',
    'select name, setting as value from pg_settings where name = any($1)',
    [names],
  );
  return new Map(rows.map(({ name, value }) => [String(name), String(value)]));
}
