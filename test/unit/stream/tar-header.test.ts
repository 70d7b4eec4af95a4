import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  TAR_BLOCK_BYTES,
  TAR_END_BYTES,
  tarHeader,
  tarPadding,
  type TarMember,
} from '../../../src/stream/tar-header.ts';

const PLAIN: TarMember = {
  name: 'base/5/16384',
  kind: 'file',
  size: 0,
  mode: 0o600,
  modifiedAt: 1_700_000_000.9,
  uid: 4321,
  gid: 8765,
  user: '',
  group: '',
};

function archive(...members: { member: TarMember; content?: Buffer }[]): Buffer {
  const blocks = members.flatMap(({ member, content = Buffer.alloc(0) }) => {
    const sized = { ...member, size: content.length };
    return [tarHeader(sized), content, Buffer.alloc(tarPadding(content.length))];
  });
  return Buffer.concat([...blocks, Buffer.alloc(TAR_END_BYTES)]);
}

const list = (bytes: Buffer, ...options: string[]): string =>
  execFileSync('tar', ['-t', '--numeric-owner', ...options], {
    input: bytes,
    env: { PATH: process.env['PATH'], TZ: 'UTC' },
  })
    .toString('latin1')
    .trimEnd();

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'walhold-tar-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('tar members, read by the tar command', () => {
  it('keep mode, owner, time and kind', () => {
    const bytes = archive(
      { member: PLAIN, content: Buffer.from('abc') },
      { member: { ...PLAIN, name: 'pg_notify', kind: 'directory', mode: 0o700 } },
    );
    expect(list(bytes, '-v').split('\n')).toEqual([
      '-rw------- 4321/8765         3 2023-11-14 22:13 base/5/16384',
      'drwx------ 4321/8765         0 2023-11-14 22:13 pg_notify/',
    ]);
  });

  it('carry the names of owner and group where they are known', () => {
    const bytes = archive({ member: { ...PLAIN, user: 'postgres', group: 'staff' } });
    expect(execFileSync('tar', ['-tv'], { input: bytes }).toString()).toContain('postgres/staff');
  });

  const deep = (length: number): string => 'd/'.repeat(200).slice(0, length - 4) + 'name';
  it.each([
    ['99 bytes', 'n'.repeat(99)],
    ['100 bytes', 'n'.repeat(100)],
    ['101 bytes without a slash', 'n'.repeat(101)],
    ['101 bytes', deep(101)],
    ['255 bytes', deep(255)],
    ['256 bytes, which the prefix still takes', `${'p/'.repeat(77)}p/${'n'.repeat(100)}`],
    ['257 bytes', `${'p'.repeat(156)}/${'n'.repeat(100)}`],
    ['a slash where the prefix would end', `${'p'.repeat(155)}/${'n'.repeat(100)}`],
    ['300 bytes', `${'p'.repeat(150)}/${'n'.repeat(149)}`],
    ['spaces and quotes', `base/a 'b' "c"`],
    ['letters beyond ASCII', 'Grüße/日本'.repeat(3)],
    ['long letters beyond ASCII', 'Grüße/日本'.repeat(30)],
  ])('keep a name of %s', (_, name) => {
    const bytes = archive({ member: { ...PLAIN, name }, content: Buffer.from('x') }, { member: PLAIN });
    expect(Buffer.from(list(bytes, '--quoting-style=literal'), 'latin1').toString('utf8')).toBe(
      `${name}\nbase/5/16384`,
    );
  });

  it.each([
    ['short', Buffer.from('636166e9', 'hex')],
    ['long', Buffer.concat([Buffer.from('636166e9', 'hex'), Buffer.alloc(200, 0x61)])],
  ])('keep a %s name that is not UTF-8', (_, name) => {
    const bytes = archive({ member: { ...PLAIN, name } });
    expect(list(bytes, '--quoting-style=literal')).toBe(name.toString('latin1'));
  });

  it('keep sizes and owners beyond what ustar has digits for', () => {
    const header = tarHeader({ ...PLAIN, size: 8 * 1024 ** 3, uid: 4_000_000_000, gid: 3_000_000_000 });
    // There is no content behind it, so the listing fails after its first line.
    expect(() => list(header, '-v')).toThrow(
      expect.objectContaining({
        stdout: Buffer.from('-rw------- 4000000000/3000000000 8589934592 2023-11-14 22:13 base/5/16384\n'),
      }),
    );
  });

  it('come out with their contents, to the byte', () => {
    const sizes = [0, 1, 511, 512, 513, 100_000];
    const files = sizes.map((size) => ({
      member: { ...PLAIN, name: `of/${size}` },
      content: Buffer.alloc(size, String(size)),
    }));
    const bytes = archive({ member: { ...PLAIN, name: 'of', kind: 'directory', mode: 0o750 } }, ...files);
    execFileSync('tar', ['-xp', '--no-same-owner', '-C', folder], { input: bytes });
    for (const { member, content } of files) {
      expect(readFileSync(join(folder, member.name as string)).equals(content)).toBe(true);
      expect(statSync(join(folder, member.name as string)).mtimeMs).toBe(1_700_000_000_000);
    }
    expect(statSync(join(folder, 'of')).mode & 0o777).toBe(0o750);
  });

  it('are whole blocks, so that a content begins at one', () => {
    for (const length of [1, 100, 101, 260, 1000, 4000]) {
      expect(tarHeader({ ...PLAIN, name: 'n'.repeat(length) }).length % TAR_BLOCK_BYTES).toBe(0);
    }
  });
});
