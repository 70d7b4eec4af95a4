import { isUtf8 } from 'node:buffer';
import type { ServerSession } from './session.ts';

export interface Database {
  oid: number;
  name: string;
  template: boolean;
}

/** The cluster's databases, by OID. Those whose names are not UTF-8 are left out. Throws `server`. */
export async function readDatabases(session: ServerSession): Promise<Database[]> {
  // Names have the encoding of whoever made the database: as bytes they are never converted, and so never refused.
  const rows = await session.rows(
    'list the databases',
    `select oid::int8 as oid, replace(datname::text, chr(92), chr(92) || chr(92))::bytea as name, datistemplate as template
       from pg_database order by oid`,
  );
  return rows.flatMap(({ oid, name, template }) =>
    Buffer.isBuffer(name) && isUtf8(name)
      ? [{ oid: Number(oid), name: name.toString('utf8'), template: template === true }]
      : [],
  );
}
