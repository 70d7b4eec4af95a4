import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chooseArchiveMode } from '../../../../src/commands/restore/archive-choice.ts';
import { ownerFor } from '../../../../src/commands/restore/owner.ts';
import { parseMapping, placeTablespaces } from '../../../../src/commands/restore/tablespace-mapping.ts';
import { MARKER_NAME } from '../../../../src/commands/restore/restore-marker.ts';
import { requireEmpty, requireSpace } from '../../../../src/commands/restore/target-directory.ts';
import { inventory, storedAt } from '../../../support/wal-inventory.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhold-placing-'));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

describe('a tablespace mapping', () => {
  const good: [string, { from: string; to: string }][] = [
    ['/a=/b', { from: '/a', to: '/b' }],
    ['/a/=/b//', { from: '/a', to: '/b' }],
    [String.raw`/a\=b=/c\=d`, { from: '/a=b', to: '/c=d' }],
  ];
  it.each(good)('is read: %s', (text, expected) => expect(parseMapping(text)).toEqual(expected));
  it.each(['', '/a', 'a=/b', '/a=b', '/a=/b=/c'])('is refused: %s', (text) => {
    expect(() => parseMapping(text)).toThrowError(expect.objectContaining({ code: 'usage' }) as Error);
  });

  it('may not lead two tablespaces into each other', () => {
    const recorded = [
      { oid: '1', path: '/a' },
      { oid: '2', path: '/b' },
    ];
    expect(() => placeTablespaces(recorded, [{ from: '/b', to: '/a/b' }], '/data')).toThrowError(/tablespace 2/);
    expect(placeTablespaces(recorded, [{ from: '/b', to: '/ab' }], '/data').map(({ to }) => to)).toEqual(['/a', '/ab']);
  });

  it('may not put the data directory into a tablespace', () => {
    expect(() => placeTablespaces([{ oid: '1', path: '/srv' }], [], '/srv/data')).toThrowError(/could not place/);
  });
});

describe('who owns what is restored', () => {
  const recorded = { user: 'pg', group: 'pg', uid: 70, gid: 70 };
  beforeEach(async () => {
    await writeFile(join(folder, 'passwd'), 'root:x:0:0::/:/bin/sh\npg:x:26:26::/:/bin/sh\n');
    await writeFile(join(folder, 'group'), 'pg:x:27:\n');
  });

  it('is whoever runs it, unless that is root', () => {
    expect(ownerFor({ uid: 1000, directory: undefined, recorded })).toBeUndefined();
  });

  it("is the directory's owner, for root", () => {
    expect(ownerFor({ uid: 0, directory: { uid: 5, gid: 6 }, recorded, accounts: folder })).toEqual({ uid: 5, gid: 6 });
  });

  it('is the account of that name here, for root and a new directory', () => {
    expect(ownerFor({ uid: 0, directory: { uid: 0, gid: 0 }, recorded, accounts: folder })).toEqual({
      uid: 26,
      gid: 27,
    });
  });

  it.each(['nobody-knows', 'root', ''])('is not guessed from the name "%s"', (user) => {
    expect(() =>
      ownerFor({ uid: 0, directory: undefined, recorded: { ...recorded, user }, accounts: folder }),
    ).toThrowError(/who shall own/);
  });
});

describe('a directory to be filled', () => {
  const dead = (): boolean => false;

  it('may be missing', async () => {
    expect(await requireEmpty(join(folder, 'new'), 'the directory', dead)).toEqual({ exists: false, owner: undefined });
  });

  it('is not taken for half done when it is whole and the mark has stayed', async () => {
    await mkdir(join(folder, 'global'));
    await writeFile(join(folder, 'global/pg_control'), '');
    await writeFile(join(folder, MARKER_NAME), '');
    await expect(requireEmpty(folder, 'the directory', dead)).rejects.toThrowError(/is not empty/);
  });

  it('with the note of a server that is gone is not empty, no more', async () => {
    await writeFile(join(folder, 'postmaster.pid'), '12345\n/x\n1700000000\n');
    await expect(requireEmpty(folder, 'the directory', dead)).rejects.toThrowError(/is not empty/);
    await expect(requireEmpty(folder, 'the directory', () => true)).rejects.toThrowError(/a server is running/);
  });

  it('must have room for everything that goes to its filesystem, even where it does not exist yet', async () => {
    const bytes = 2 ** 60;
    await requireSpace(new Map([[join(folder, 'new/deep'), 1000]]));
    await expect(requireSpace(new Map([[join(folder, 'new/deep'), bytes]]))).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/not enough space/) as string,
    });
  });
});

describe('whether the copy goes on archiving', () => {
  const wal = inventory({ 1: { segments: '1-5' }, 2: { segments: '3', history: '1 0/3000100 x' } });
  const minutesAfterLast = (minutes: number): { nowMs: number; asOf: undefined } => ({
    nowMs: storedAt(5).getTime() + minutes * 60_000,
    asOf: undefined,
  });

  it('is no while the original still does', () => {
    expect(chooseArchiveMode(undefined, wal, minutesAfterLast(59))).toMatchObject({ mode: 'off' });
    expect(chooseArchiveMode(undefined, wal, minutesAfterLast(-5))).toMatchObject({ mode: 'off' });
  });

  it('is as before once the original has been silent for an hour', () => {
    expect(chooseArchiveMode(undefined, wal, minutesAfterLast(61))).toMatchObject({ mode: 'preserve' });
  });

  it('is no where what was stored last is not seen', () => {
    const asOf = { at: storedAt(5), text: '2026-11-22 17:45:00.000000+00:00' };
    const { nowMs } = minutesAfterLast(600);
    expect(chooseArchiveMode(undefined, wal, { nowMs, asOf })).toMatchObject({ mode: 'off' });
    expect(chooseArchiveMode('preserve', wal, { nowMs, asOf })).toMatchObject({ mode: 'preserve' });
  });

  it('is as told', () => {
    expect(chooseArchiveMode('preserve', wal, minutesAfterLast(1))).toMatchObject({ mode: 'preserve' });
  });
});
