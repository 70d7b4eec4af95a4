import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../base/durable.ts';
import { ioError, WalholdError } from '../../base/errors.ts';
import { parseWalName } from '../../postgres/wal-name.ts';
import { decodeObject } from '../../repository/object-codec.ts';
import { HEAD_MAX_BYTES } from '../../repository/object-head.ts';
import { firstThatWorks } from '../../repository/repository.ts';
import { examineWal } from '../../repository/wal-content.ts';
import type { StoredPartial } from '../../repository/wal-inventory.ts';
import { readAll } from '../../store/read-all.ts';
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
    const maxBytes = partial.storedBytes + HEAD_MAX_BYTES;
    const found = await readAll(store, partial.key, { signal: source.signal, maxBytes });
    if (found === undefined) return undefined;
    const object = `${url}/${partial.key}`;
    const { head, plain } = decodeObject(found.bytes, object, segmentBytes);
    const file = parseWalName(head.name);
    const known = { systemId, segmentBytes };
    const faults =
      file?.kind === 'partial' && file.segment === segment && head.systemId === String(systemId)
        ? examineWal(file, plain, known).faults
        : [`it says that it is ${head.name} of cluster ${head.systemId}`];
    if (faults.length === 0) return plain;
    throw new WalholdError('damaged', `could not trust ${object}`, { detail: faults.join('; ') });
  });
  if (value === undefined) throw new WalholdError('not-found', `${partial.key} is missing`);
  return value;
}
