const DIRECTORY = /^(?:base\/([0-9]+)|pg_tblspc\/[0-9]+\/PG_[0-9]+_[0-9]+\/([0-9]+))\//;

/** The OID of the database whose directory this path below the data directory lies in. `undefined`: no database's. */
export function databaseOf(path: string): number | undefined {
  const [, base, space] = DIRECTORY.exec(path) ?? [];
  const oid = base ?? space;
  return oid === undefined ? undefined : Number(oid);
}
