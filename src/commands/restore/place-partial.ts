import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../base/durable.ts';
import { ioError, WalholdError } from '../../base/errors.ts';
import { parseWalName } from '../../postgres/wal-name.ts';
import { readAuthentic } from '../../repository/authentic.ts';
import { parseWalKey } from '../../repository/layout.ts';
import { decodeObject } from '../../repository/object-codec.ts';
import { firstThatWorks } from '../../repository/repository.ts';
import { mostStoredBytes } from '../../repository/wal-archive.ts';
import { examineWal } from '../../repository/wal-content.ts';
import type { StoredPartial } from '../../repository/wal-inventory.ts';
import type { BackupSource } from './backup-source.ts';
import type { Owner } from './target-directory.ts';

export interface PartialPlace {
  partial: StoredPartial;
  /** The segment's name: under this the server reads it. */
  segment: string;
  segmentBytes: number;
  systemId: bigint;
  dataDirectory: string;
  owner: Owner | undefined;
}

/** Puts the content of a stored `.partial` into `pg_wal` as its segment, verified, and with zeros up to the segment's size. */
export async function placePartial(source: BackupSource, place: PartialPlace): Promise<void> {
  const plain = await readPartial(source, place);
  const path = join(place.dataDirectory, 'pg_wal', place.segment);
  const { owner, segmentBytes } = place;
  try {
    const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      await handle.writeFile(plain);
      await handle.writeFile(Buffer.alloc(segmentBytes - plain.length));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncDirectory(dirname(path));
  } catch (error) {
    throw ioError(`could not write ${path}`, error);
  }
}

async function readPartial(source: BackupSource, place: PartialPlace): Promise<Buffer> {
  const { partial, segment, segmentBytes, systemId } = place;
  const holders = source.repositories.filter(({ number }) => partial.repositories.includes(number));
  const { value } = await firstThatWorks(holders, async ({ store, url }) => {
    const reading = { signal: source.signal, maxBytes: mostStoredBytes(segmentBytes) };
    return await readAuthentic(store, partial.key, reading, ({ bytes }) => {
      const object = `${url}/${partial.key}`;
      const { head, plain } = decodeObject(bytes, object, segmentBytes);
      const file = parseWalName(head.name);
      const known = { systemId, segmentBytes };
      const faults =
        file?.kind === 'partial' && file.segment === segment && head.systemId === String(systemId)
          ? [...examineWal(file, plain, known).faults]
          : [`it says that it is ${head.name} of cluster ${head.systemId}`];
      const { digest } = parseWalKey(partial.key) ?? {};
      if (digest === undefined || !head.sha256.startsWith(digest)) faults.push(`its SHA-256 is ${head.sha256}`);
      if (faults.length === 0) return plain;
      throw new WalholdError('damaged', `could not trust ${object}`, { detail: faults.join('; ') });
    });
  });
  if (value === undefined) throw new WalholdError('not-found', `${partial.key} is missing`);
  return value;
}
