import type { AccountNames } from '../../base/account-names.ts';
import type { PartWriter } from '../../repository/part-writer.ts';
import { sha256 } from '../../stream/checksum.ts';
import { tarHeader, tarPadding } from '../../stream/tar-header.ts';
import type { CopiedFile, CopiedFrame } from './thread-protocol.ts';

/** A file whose content is at hand. */
export interface Member {
  path: string;
  content: Buffer;
  mode: number;
  /** Seconds since 1970. */
  modifiedAt: number;
  uid: number;
  gid: number;
}

/** Writes these files as one frame. `part`: the number of the part that `writer` writes. */
export function writeMembers(
  members: readonly Member[],
  { writer, part, names }: { writer: PartWriter; part: number; names: AccountNames },
): CopiedFrame {
  const files: CopiedFile[] = [];
  const blocks: Buffer[] = [];
  let at = 0;
  const add = (block: Buffer): void => {
    blocks.push(block);
    at += block.length;
  };
  for (const { path, content, ...member } of members) {
    const { uid, gid, modifiedAt } = member;
    const owner = { user: names.user(uid), group: names.group(gid) };
    add(tarHeader({ name: path, kind: 'file', size: content.length, ...member, ...owner }));
    files.push({ path, size: content.length, at, sha256: sha256(content), modifiedAt });
    add(content);
    add(Buffer.alloc(tarPadding(content.length)));
  }
  writer.beginFrame(at);
  for (const block of blocks) writer.write(block);
  return { ...writer.endFrame(), part, files };
}
