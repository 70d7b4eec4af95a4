import { describe, expect, it } from 'vitest';
import { tarHeader, tarPadding, type TarMember } from '../../../src/stream/tar-header.ts';
import { Untar, type TarEntry } from '../../../src/stream/untar.ts';
import { patternBytes } from '../../support/bytes.ts';

const PLAIN: TarMember = {
  name: 'base/1/1249',
  kind: 'file',
  size: 0,
  mode: 0o600,
  modifiedAt: 1_700_000_000,
  uid: 101,
  gid: 103,
  user: 'postgres',
  group: 'postgres',
};

function member(change: Partial<TarMember>, content: Buffer = Buffer.alloc(0)): Buffer {
  const header = tarHeader({ ...PLAIN, size: content.length, ...change });
  return Buffer.concat([header, content, Buffer.alloc(tarPadding(content.length))]);
}

const END = Buffer.alloc(1024);

interface Found {
  entry: TarEntry;
  content: Buffer;
}

function read(archive: Buffer, pieceBytes = archive.length, whole = true): Found[] {
  const found: Found[] = [];
  let open: { entry: TarEntry; chunks: Buffer[] } | undefined;
  const untar = new Untar({
    begin: (entry) => (open = { entry, chunks: [] }),
    data: (chunk) => open?.chunks.push(Buffer.from(chunk)),
    end: () => {
      if (open !== undefined) found.push({ entry: open.entry, content: Buffer.concat(open.chunks) });
      open = undefined;
    },
  });
  for (let at = 0; at < archive.length; at += pieceBytes) untar.write(archive.subarray(at, at + pieceBytes));
  untar.end(whole);
  return found;
}

/** A header whose bytes were changed, with a checksum that fits again. */
function forged(change: (block: Buffer) => void, original: Partial<TarMember> = {}): Buffer {
  const block = Buffer.from(tarHeader({ ...PLAIN, ...original }));
  change(block);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

describe('reading a tar', () => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(120)}/${'f'.repeat(200)}`;

  it.each([1, 7, 511, 512, 513, 100_000])('gives back what was written, in pieces of %i bytes', (pieceBytes) => {
    const content = patternBytes(3000);
    const bytes = Buffer.from('base/\xff\xfe', 'latin1');
    const archive = Buffer.concat([
      member({ name: 'base', kind: 'directory', mode: 0o700 }),
      member({}, content),
      member({ name: long, uid: 3_000_000_000 }, patternBytes(512)),
      member({ name: bytes }),
      END,
    ]);
    const found = read(archive, pieceBytes);
    expect(found.map(({ entry }) => entry.path)).toEqual(['base', 'base/1/1249', long, bytes]);
    expect(found.map(({ content: each }) => each.length)).toEqual([0, 3000, 512, 0]);
    expect(found[1]?.content.equals(content)).toBe(true);
    expect(found[1]?.entry).toEqual({ ...PLAIN, name: undefined, path: 'base/1/1249', size: 3000 });
    expect(found[0]?.entry).toMatchObject({ kind: 'directory', mode: 0o700 });
    expect(found[2]?.entry.uid).toBe(3_000_000_000);
  });

  it('reads a run of members from the middle of an archive', () => {
    expect(read(member({}, patternBytes(10)), 10_000, false)).toHaveLength(1);
  });
});

describe('a hostile tar is refused:', () => {
  const named = (name: string): Buffer => forged((block) => block.fill(0, 0, 100).write(name, 0, 'latin1'));
  const typed = (type: string): Buffer => forged((block) => block.write(type, 156, 'latin1'));
  const pax = (records: string): Buffer => {
    const body = Buffer.from(records, 'latin1');
    const head = forged((block) => block.write('x', 156, 'latin1'), { size: body.length });
    return Buffer.concat([head, body, Buffer.alloc(tarPadding(body.length))]);
  };
  const table: [string, Buffer, RegExp][] = [
    ['an absolute path', named('/etc/passwd'), /path is absolute/],
    ['a path that climbs', named('base/../../x'), /path contains "\.\."/],
    ['a path of one dot', named('./x'), /path contains "\."/],
    ['an empty path', named(''), /path is empty/],
    ['an absolute path in a pax record', Buffer.concat([pax('15 path=/etc/x\n'), member({})]), /path is absolute/],
    ['a climbing path in a pax record', Buffer.concat([pax('13 path=../x\n'), member({})]), /path contains "\.\."/],
    ['a zero byte in a pax path', Buffer.concat([pax('12 path=a\0b\n'), member({})]), /zero byte/],
    ['a hard link', typed('1'), /type "1"/],
    ['a symbolic link', typed('2'), /type "2"/],
    ['a character device', typed('3'), /type "3"/],
    ['a block device', typed('4'), /type "4"/],
    ['a FIFO', typed('6'), /type "6"/],
    ["GNU tar's long names", typed('L'), /type "L"/],
    ['a sparse file', typed('S'), /type "S"/],
    ['a global pax header', typed('g'), /type "g"/],
    ['a file with a link name', forged((block) => block.write('/etc/passwd', 157, 'latin1')), /links to another/],
    [
      'a directory with content',
      forged((block) => block.write('00000001000', 124, 'latin1'), { kind: 'directory' }),
      /a directory has content/,
    ],
    ['a size in binary', forged((block) => block.fill(0xff, 124, 136)), /not octal/],
    [
      'a wrong checksum',
      (() => {
        const block = member({});
        block[0] = 0x41;
        return block;
      })(),
      /checksum of a header/,
    ],
    ['another dialect', forged((block) => block.write('ustar  \0', 257, 'latin1')), /ustar form/],
    [
      'padding that is not zero',
      (() => {
        const all = member({}, patternBytes(10));
        all[600] = 1;
        return all;
      })(),
      /padding/,
    ],
    ['a member behind the end', Buffer.concat([END, member({})]), /follows the end/],
    ['a lone zero block', Buffer.concat([member({}), Buffer.alloc(512)]), /no end/],
    ['content that is cut off', member({}, patternBytes(2000)).subarray(0, 1024), /ends within a member/],
    ['a header that is cut off', member({}).subarray(0, 100), /ends within a member/],
    ['a pax header without a member', Buffer.concat([pax('12 path=abc\n'), END]), /belongs to no member/],
    [
      'a pax header that is huge',
      forged((block) => block.write('x', 156, 'latin1'), { size: 10_000_000 }),
      /pax header is wrong/,
    ],
    ['a pax record of another kind', pax('19 linkpath=/etc/x\n'), /record "linkpath"/],
    ['a pax record with a wrong length', pax('99 path=abc\n'), /wrong length/],
    ['a pax record twice', pax('10 path=a\n10 path=b\n'), /two records/],
    ['a pax size that is no number', pax('11 size=-1\n'), /number is wrong/],
    ['no tar at all', patternBytes(2048), /not octal|checksum/],
  ];
  it.each(table)('%s', (_, archive, message) => {
    expect(() => read(archive)).toThrowError(
      expect.objectContaining({ code: 'damaged', detail: expect.stringMatching(message) as string }) as Error,
    );
  });
});
