const DIRECTORY = /^(?:base\/([0-9]+)|pg_tblspc\/[0-9]+\/PG_[0-9]+_[0-9]+\/([0-9]+))\/(.+)$/s;

/** Which database (its OID) a path below the data directory belongs to, and the file in its directory. `undefined`: no database's. */
export function databaseFile(path: string): { database: number; name: string } | undefined {
  const [, base, space, name] = DIRECTORY.exec(path) ?? [];
  return name === undefined ? undefined : { database: Number(base ?? space), name };
}
