/** Whether stored bytes are what the name of a WAL object promises: the judgement that every removal rests on. Pure. */
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { WalObject } from './layout.ts';
import { decodeObject } from './object-codec.ts';
import { HEAD_MAX_BYTES, isOfNewerFormat, type ObjectHead } from './object-head.ts';
import { examineWal, WAL_MAX_BYTES } from './wal-content.ts';

export type WalJudgement =
  | { kind: 'authentic'; head: ObjectHead; plain: Buffer }
  /** Sound bytes that belong elsewhere have a head and a content, damaged ones have neither. */
  | { kind: 'junk'; why: readonly string[]; sound: { head: ObjectHead; plain: Buffer } | undefined }
  /** Of a format that this version cannot read: nobody may call it junk. */
  | { kind: 'unknown'; why: readonly string[] };

/** What is known of the cluster. */
export interface JudgeOptions {
  systemId: bigint;
  segmentBytes?: number | undefined;
}

/** `object` is for messages. */
export function judgeWal(
  wal: WalObject,
  stored: Uint8Array,
  object: string,
  { systemId, segmentBytes }: JudgeOptions,
): WalJudgement {
  if (isOfNewerFormat(stored.subarray(0, HEAD_MAX_BYTES))) {
    return { kind: 'unknown', why: ['it was stored by a newer version of walhold'] };
  }
  try {
    const sound = decodeObject(stored, object, segmentBytes ?? WAL_MAX_BYTES);
    const expected = segmentBytes === undefined ? { systemId } : { systemId, segmentBytes };
    const why = [
      ...descriptionFaults(wal, sound.head, systemId),
      ...examineWal(wal.file, sound.plain, expected).faults,
    ];
    return why.length === 0 ? { kind: 'authentic', ...sound } : { kind: 'junk', why, sound };
  } catch (error) {
    if (!(error instanceof WalholdError)) throw error;
    return { kind: 'junk', why: [error.detail ?? reasonOf(error)], sound: undefined };
  }
}

/** What an object says of itself and should not under this key. */
function descriptionFaults({ file, digest }: WalObject, head: ObjectHead, systemId: bigint): string[] {
  const found: string[] = [];
  if (head.kind !== file.kind || head.name !== file.name) found.push(`it says that it is ${head.kind} ${head.name}`);
  if (head.systemId !== String(systemId)) found.push(`it says that it belongs to cluster ${head.systemId}`);
  if (digest !== undefined && !head.sha256.startsWith(digest)) found.push(`its content's SHA-256 is ${head.sha256}`);
  return found;
}
