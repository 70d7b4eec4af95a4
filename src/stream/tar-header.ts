/**
 * Tar members as POSIX writes them: ustar headers, and pax records for what those cannot hold. GNU tar, bsdtar, busybox and
 * libarchive read them.
 */

/** Headers and contents are made up of such blocks. */
export const TAR_BLOCK_BYTES = 512;
/** Two zero blocks end an archive. */
export const TAR_END_BYTES = 1024;

export interface TarMember {
  /** Relative, without a slash at its end; bytes where it is not UTF-8. */
  name: string | Buffer;
  kind: 'file' | 'directory';
  /** Of the content; 0 for a directory. */
  size: number;
  /** Permission bits. */
  mode: number;
  /** Seconds since 1970; fractions are dropped. */
  modifiedAt: number;
  uid: number;
  gid: number;
  /** Empty where not known: tar then goes by the numbers. */
  user: string;
  group: string;
}

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const OWNER_BYTES = 31;
const LARGEST_SIZE = 0o77777777777;
const LARGEST_ID = 0o7777777;

/** All blocks before the member's content: one, or three and more with pax records. */
export function tarHeader(member: TarMember): Buffer {
  const bytes = typeof member.name === 'string' ? Buffer.from(member.name, 'utf8') : member.name;
  const name = member.kind === 'directory' ? Buffer.concat([bytes, Buffer.from('/')]) : bytes;
  const records: Buffer[] = [];
  const split = splitName(name);
  if (split === undefined) {
    if (typeof member.name !== 'string') records.push(paxRecord('hdrcharset', Buffer.from('BINARY')));
    records.push(paxRecord('path', name));
  }
  if (member.size > LARGEST_SIZE) records.push(paxRecord('size', Buffer.from(String(member.size))));
  if (member.uid > LARGEST_ID) records.push(paxRecord('uid', Buffer.from(String(member.uid))));
  if (member.gid > LARGEST_ID) records.push(paxRecord('gid', Buffer.from(String(member.gid))));
  const own = split ?? { prefix: Buffer.alloc(0), name: name.subarray(0, NAME_BYTES) };
  const header = ustarBlock(own, member.kind === 'directory' ? '5' : '0', member);
  return records.length === 0 ? header : Buffer.concat([paxMember(Buffer.concat(records), member), header]);
}

/** Zero bytes that follow a content of this size. */
export function tarPadding(size: number): number {
  return (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}

interface SplitName {
  prefix: Buffer;
  name: Buffer;
}

/** ustar keeps a long name in two fields, cut at a slash. `undefined`: it does not fit. */
function splitName(name: Buffer): SplitName | undefined {
  if (name.length <= NAME_BYTES) return { prefix: Buffer.alloc(0), name };
  for (let at = Math.min(PREFIX_BYTES, name.length - 2); at > 0 && name.length - at - 1 <= NAME_BYTES; at--) {
    if (name[at] === 0x2f) return { prefix: name.subarray(0, at), name: name.subarray(at + 1) };
  }
  return undefined;
}

function ustarBlock(name: SplitName, type: string, member: TarMember): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (value: number, at: number, digits: number): void => {
    block.write(Math.max(0, Math.floor(value)).toString(8).padStart(digits, '0'), at, 'latin1');
  };
  block.set(name.name, 0);
  octal(member.mode & 0o7777, 100, 7);
  // What does not fit stands in a pax record, which readers prefer.
  octal(member.uid > LARGEST_ID ? 0 : member.uid, 108, 7);
  octal(member.gid > LARGEST_ID ? 0 : member.gid, 116, 7);
  octal(member.size > LARGEST_SIZE ? 0 : member.size, 124, 11);
  octal(member.modifiedAt, 136, 11);
  block.fill(0x20, 148, 156);
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(cut(member.user), 265, 'latin1');
  block.write(cut(member.group), 297, 'latin1');
  octal(0, 329, 7);
  octal(0, 337, 7);
  block.set(name.prefix, 345);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  block[154] = 0;
  return block;
}

/** Names are ASCII in practice; one that is not is left to the numbers. */
function cut(name: string): string {
  return /^[\x21-\x7e]*$/.test(name) && name.length <= OWNER_BYTES ? name : '';
}

/** `<length> <key>=<value>\n`, the length counting itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length > length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')]);
}

function paxMember(records: Buffer, member: TarMember): Buffer {
  const own = { prefix: Buffer.alloc(0), name: Buffer.from('PaxHeader/pax') };
  const block = ustarBlock(own, 'x', { ...member, size: records.length, mode: 0o600, uid: 0, gid: 0 });
  return Buffer.concat([block, records, Buffer.alloc(tarPadding(records.length))]);
}
