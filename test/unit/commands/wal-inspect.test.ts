import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Inspection } from '../../../src/commands/wal-inspection.ts';
import { parseWalName, type PartialFile } from '../../../src/postgres/wal-name.ts';
import { partialKey } from '../../../src/repository/layout.ts';
import { encodeObject } from '../../../src/repository/object-codec.ts';
import { sha256 } from '../../../src/stream/checksum.ts';
import { callCompanion, jsonOf } from '../../support/companion-call.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { nameOf, putSegments, segmentBytes } from '../../support/made-segments.ts';

let stored: FileRepository;
let second: FileRepository;
let folder: string;
beforeEach(async () => {
  stored = await FileRepository.create();
  second = await FileRepository.create();
  folder = await mkdtemp(join(tmpdir(), 'walhold-inspect-'));
});
afterEach(async () => {
  await stored[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function inspect(subject: string, ...flags: string[]): Promise<Inspection & { status: number }> {
  const result = await callCompanion([
    'wal',
    'inspect',
    '--json',
    subject,
    '--repo',
    `file://${stored.root}`,
    ...flags,
  ]);
  if (result.stdout === '') throw new Error(result.stderr);
  return { ...jsonOf<Inspection>(result), status: result.status };
}

describe('wal inspect of a file', () => {
  it('shows the header and the digest of a segment, with no settings at all', async () => {
    const path = join(folder, nameOf(5));
    await writeFile(path, segmentBytes(5));
    const result = await callCompanion(['wal', 'inspect', '--json', path]);
    expect(jsonOf<Inspection>(result)).toMatchObject({
      name: nameOf(5),
      kind: 'segment',
      fits: true,
      problems: [],
      sha256: sha256(segmentBytes(5)),
      bytes: 1024 * 1024,
      header: { magic: 'D110', pgMajor: 15, timeline: 1, pageAddress: '0/500000', systemId: String(SYSTEM_ID) },
      copies: [],
    });
    expect(result.status).toBe(0);
  });

  it('says which field does not fit the name, and ends with 1', async () => {
    const path = join(folder, nameOf(6));
    await writeFile(path, segmentBytes(5));
    const { problems, fits, status } = await inspect(path);
    expect(problems).toEqual(['page address is 0/500000, expected 0/600000']);
    expect(fits).toBe(false);
    expect(status).toBe(1);
  });

  it('shows what has no header at all', async () => {
    const path = join(folder, nameOf(6));
    await writeFile(path, 'hello');
    expect(await inspect(path)).toMatchObject({ header: null, fits: false, bytes: 5, status: 1 });
  });

  it('opens an object that was downloaded from a repository', async () => {
    await putSegments(stored, 5, 5, { about: { by: 'walhold 9 on db1', at: '2026-11-22T17:45:00.000Z' } });
    const path = join(folder, `${nameOf(5)}.zst`);
    await writeFile(path, await readFile(join(stored.root, `wal/00000001/0000000100000000/${nameOf(5)}.zst`)));
    expect(await inspect(path)).toMatchObject({
      fits: true,
      copies: [{ object: path, by: 'walhold 9 on db1', at: '2026-11-22T17:45:00.000Z' }],
    });
  });

  it('refuses a name that no WAL file has, and a path where nothing is', async () => {
    await writeFile(join(folder, 'notes'), 'hello');
    await expect(inspect(join(folder, 'notes'))).rejects.toThrow('is not the name of a WAL file');
    await expect(inspect(join(folder, nameOf(5)))).rejects.toThrow('there is no file');
  });
});

describe('wal inspect of a stored name', () => {
  it('shows the copies that can be read, and calls none absent for those that cannot', async () => {
    await putSegments(stored, 5, 5);
    await rm(second.root, { recursive: true });
    const both = ['--repo2', `file://${second.root}`];
    const shown = await inspect(nameOf(5), ...both);
    expect(shown.copies).toHaveLength(1);
    expect(shown.status).toBe(1);
    await expect(inspect(nameOf(6), ...both)).rejects.toThrow(/error: the repository's directory .* is missing/);
  });

  it('shows every copy', async () => {
    await putSegments(stored, 5, 5, { about: { by: 'walhold 9 on db1' } });
    await putSegments(second, 5, 5, { about: { by: 'walhold 9 on db2' } });
    const result = await inspect(nameOf(5), '--repo2', `file://${second.root}`);
    expect(result).toMatchObject({ fits: true, problems: [], status: 0 });
    expect(result.copies.map(({ by, lockedUntil }) => [by, lockedUntil])).toEqual([
      ['walhold 9 on db1', null],
      ['walhold 9 on db2', null],
    ]);
    expect(result.copies[0]?.ratio).toBeGreaterThan(10);
  });

  it('finds copies that are damaged or differ', async () => {
    await putSegments(stored, 5, 5);
    const other = segmentBytes(5);
    other[500] = 1;
    const key = await second.putWal(nameOf(5), other);
    const differing = await inspect(nameOf(5), '--repo2', `file://${second.root}`);
    expect(differing.problems).toEqual(['the copy in repository 2 has other content']);
    expect(differing.status).toBe(1);

    await second.put(key, 'x');
    const damaged = await inspect(nameOf(5), '--repo2', `file://${second.root}`);
    expect(damaged.problems).toEqual(['the copy in repository 2 is damaged']);
    expect(damaged.copies[1]?.error).toContain('it has no description');
    // The one that can be read is still described.
    expect(damaged.header).not.toBeNull();
  });

  it('finds a segment that is another cluster’s', async () => {
    const bytes = segmentBytes(5);
    bytes.writeBigUInt64LE(7n, 24);
    await stored.putWal(nameOf(5), bytes);
    expect((await inspect(nameOf(5))).problems).toEqual([`system identifier is 7, expected ${SYSTEM_ID}`]);
  });

  it('shows all partials of a name, which may rightly differ, recycled ends included', async () => {
    const name = `${nameOf(5)}.partial`;
    const file = parseWalName(name) as PartialFile;
    for (const content of [segmentBytes(5), segmentBytes(4)]) {
      const about = { kind: 'partial' as const, name, systemId: String(SYSTEM_ID) };
      await stored.put(partialKey(file, sha256(content)), encodeObject(content, about, 1).bytes);
    }
    const { copies, problems } = await inspect(name);
    expect(copies).toHaveLength(2);
    expect(problems).toEqual([]);
  });

  it('says so when nothing has the name', async () => {
    await expect(inspect(nameOf(5))).rejects.toThrow(`${nameOf(5)} is not stored`);
  });

  it('prints lines for people', async () => {
    await putSegments(stored, 5, 5);
    const { stdout } = await callCompanion(['wal', 'inspect', nameOf(5), '--repo', `file://${stored.root}`]);
    expect(stdout).toMatch(/^fits its name: +yes$/m);
    expect(stdout).toMatch(/^locked until: +not locked$/m);
  });
});
