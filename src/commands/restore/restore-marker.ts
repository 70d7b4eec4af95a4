/** The mark of a restore that has begun and not ended: whose directory it is, when its control file is gone. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceDurably } from '../../base/durable.ts';
import { ioError, systemCode } from '../../base/errors.ts';

/** Lies in a data directory from the first byte to the last, so that a second attempt can tell what it finds. */
export const MARKER_NAME = 'walhold_restore_incomplete';

export interface RestoreMarker {
  systemId: bigint;
  /** What the restore fills outside of the data directory. */
  tablespaces: readonly { oid: string; path: string }[];
}

const TEXT = `walhold restore has begun to fill this directory and has not ended.
No server can start on it: global/pg_control comes last. Run the same restore again with --delta, or remove the contents first.
`;
const SYSTEM_ID = /^system identifier: ([0-9]{1,20})$/m;
const TABLESPACE = /^tablespace ([1-9][0-9]{0,9}): (".*")$/gm;
const MOST_BYTES = 32 * 1024 * 1024;

/** Makes or replaces it, durably. */
export async function writeMarker(dataDirectory: string, { systemId, tablespaces }: RestoreMarker): Promise<void> {
  const places = tablespaces.map(({ oid, path }) => `tablespace ${oid}: ${JSON.stringify(path)}\n`).join('');
  const path = join(dataDirectory, MARKER_NAME);
  try {
    await replaceDurably(path, `${TEXT}system identifier: ${systemId}\n${places}`, 0o600);
  } catch (error) {
    throw ioError(`could not write ${path}`, error);
  }
}

/** `undefined`: there is none, or one that does not say whose the directory is. */
export async function readMarker(dataDirectory: string): Promise<RestoreMarker | undefined> {
  const path = join(dataDirectory, MARKER_NAME);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not read ${path}`, error);
  }
  const systemId = SYSTEM_ID.exec(text)?.[1];
  if (systemId === undefined || text.length > MOST_BYTES) return undefined;
  const tablespaces = [...text.matchAll(TABLESPACE)].flatMap(([, oid = '', quoted = '']) => {
    const place = textOf(quoted);
    return place === undefined ? [] : [{ oid, path: place }];
  });
  return { systemId: BigInt(systemId), tablespaces };
}

function textOf(json: string): string | undefined {
  try {
    return String(JSON.parse(json));
  } catch {
    return undefined;
  }
}
