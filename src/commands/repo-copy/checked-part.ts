import type { BackupRecord } from '../../repository/backup-record.ts';
import { damaged } from '../../repository/object-head.ts';
import { PartCheck } from '../../repository/part-check.ts';
import type { StreamedObject } from '../../repository/backup-objects.ts';

/**
 * The part's bytes as they pass by. What is not the part that the record describes throws `damaged` instead of ending, so that a
 * store, which keeps nothing of a stream that fails, never keeps it.
 */
export async function* checkedPart(
  chunks: AsyncIterable<Uint8Array>,
  record: BackupRecord,
  { key, kind, stored, frames, url }: StreamedObject & { url: string },
): AsyncGenerator<Uint8Array> {
  const object = `${url}/${key}`;
  const check = new PartCheck({
    object,
    stored,
    frames,
    onFile(_file, _sha256, headerFault) {
      if (headerFault !== undefined) throw damaged(object, headerFault);
    },
  });
  for await (const chunk of chunks) {
    check.write(chunk);
    yield chunk;
  }
  const { name, kind: said, systemId } = check.end();
  if (name !== key.slice('backup/'.length) || said !== kind || systemId !== String(record.server.systemId)) {
    throw damaged(object, `it says that it is ${name} of cluster ${systemId}`);
  }
}
