import { randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PlanJson } from '../../../src/commands/restore/plan-report.ts';
import { parseManifest } from '../../../src/postgres/manifest-reader.ts';
import { lsn } from '../../../src/postgres/lsn.ts';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';
import { commitKey, manifestKey, partKey, type BackupId } from '../../../src/repository/layout.ts';
import { sha256 } from '../../../src/stream/checksum.ts';
import { jsonOf } from '../../support/companion-call.ts';
import { seededNumbers } from '../../support/killer.ts';
import { BLOCK_BYTES, labelText, linkId, putLink, type LinkContents } from '../../support/made-chain.ts';
import { FileRepository } from '../../support/file-repository.ts';
import { forgeHeader, reforge } from '../../support/reforged-backup.ts';
import { RestorePlace } from '../../support/restorable-backup.ts';
import { LONG } from '../../support/effort.ts';

let place: RestorePlace;
beforeEach(async () => {
  place = await RestorePlace.create();
});
afterEach(async () => await place[Symbol.asyncDispose]());

/** Puts a chain whose links begin in segments 2, 3, … */
async function putChain(
  links: readonly LinkContents[],
  change: Partial<Parameters<typeof putLink>[2]> = {},
): Promise<BackupRecord[]> {
  const records: BackupRecord[] = [];
  for (const [n, contents] of links.entries()) {
    const isNewest = n === links.length - 1;
    const at = { id: linkId(n), parent: records.at(-1), segno: 2 + n, ...(isNewest ? change : {}) };
    records.push(await putLink(place.stored, contents, at));
  }
  return records;
}

const pages = (...fills: number[]): Buffer => Buffer.concat(fills.map((fill) => Buffer.alloc(BLOCK_BYTES, fill)));
const restored = async (path: string): Promise<Buffer> => await readFile(join(place.target, path));

/** A chain of three with what happens to relations. */
const A = pages(1, 2, 3, 4);
const B = pages(1, 9, 3, 4, 5);
const C = pages(1, 9, 8, 4, 5, 6);
const THREE: readonly LinkContents[] = [
  {
    relations: { 'base/1/100': A, 'base/1/101': A, 'base/1/102': A, 'base/1/100_vm': pages(1) },
    others: { 'base/2/': '', 'base/2/old': 'gone' },
  },
  {
    relations: { 'base/1/100': B, 'base/1/101': A, 'base/1/103': B, 'base/1/100_vm': pages(2) },
    changes: { 'base/1/100': { before: A }, 'base/1/101': { before: A } },
  },
  {
    relations: { 'base/1/100': C, 'base/1/101': A, 'base/1/103': C, 'base/1/100_vm': pages(3) },
    changes: { 'base/1/100': { before: B }, 'base/1/101': { before: A }, 'base/1/103': { before: B } },
    others: { 'base/4/': '', 'postgresql.conf': 'port = 5432\n' },
  },
];

describe('restoring a chain', () => {
  it('joins what the newest backup holds of it, and nothing else', async () => {
    const records = await putChain(THREE);
    const result = await place.restore();
    expect(result.stderr).toMatch(/restored backup 20261122T120000Z-incr/);
    expect(result.status).toBe(0);
    expect(await restored('base/1/100')).toEqual(C);
    expect(await restored('base/1/101')).toEqual(A);
    expect(await restored('base/1/103')).toEqual(C);
    expect(await restored('base/1/100_vm')).toEqual(pages(3));
    const made = await place.made();
    expect(made.filter((path) => path.includes('INCREMENTAL') || /base\/2|102/.test(path))).toEqual([]);
    expect(made).toContain('base/4');
    const newest = records.at(-1) as BackupRecord;
    expect((await restored('backup_label')).toString()).toBe(labelText(newest.startLsn, undefined));
  });

  it('writes the manifest of what it has joined', async () => {
    await putChain(THREE);
    await place.restore();
    const { files } = parseManifest(await restored('backup_manifest'));
    expect(files.map(({ path }) => path).sort((a, b) => (a < b ? -1 : 1))).toEqual([
      'PG_VERSION',
      'backup_label',
      'base/1/100',
      'base/1/100_vm',
      'base/1/101',
      'base/1/103',
      'global/pg_control',
      'postgresql.conf',
    ]);
    for (const { path, size, checksum } of files) {
      const bytes = await restored(path.toString());
      expect([path, size, checksum?.hex]).toEqual([path, bytes.length, sha256(bytes)]);
    }
  });

  it('restores the backups in its middle too', async () => {
    await putChain(THREE);
    expect((await place.restore('--backup', linkId(1))).status).toBe(0);
    expect(await restored('base/1/100')).toEqual(B);
    expect(await restored('base/1/103')).toEqual(B);
  });

  it('brings nothing back from before a truncation, wherever in the chain it was', async () => {
    const long = pages(1, 2, 3, 4, 5, 6);
    const short = pages(1, 2);
    const again = pages(1, 2, 0, 0, 0, 7);
    await putChain([
      { relations: { 'base/1/100': long, 'base/1/101': long } },
      {
        relations: { 'base/1/100': short, 'base/1/101': short },
        changes: { 'base/1/100': { before: long }, 'base/1/101': { before: long } },
      },
      {
        relations: { 'base/1/100': again, 'base/1/101': short },
        changes: { 'base/1/100': { before: short, omitZeros: true }, 'base/1/101': { before: short } },
      },
    ]);
    expect((await place.restore()).status).toBe(0);
    expect(await restored('base/1/100')).toEqual(again);
    expect(await restored('base/1/101')).toEqual(short);
  });

  it('leaves long ranges of zeros as holes, whichever link they are from', async () => {
    const MIB = 1024 * 1024;
    const before = randomBytes(4 * MIB);
    before.fill(0, MIB / 2, 2 * MIB);
    const after = Buffer.from(before);
    after.fill(0, 2 * MIB, 3 * MIB);
    await putChain([
      { relations: { 'base/1/100': before } },
      { relations: { 'base/1/100': after }, changes: { 'base/1/100': { before } } },
    ]);
    expect((await place.restore()).status).toBe(0);
    expect((await restored('base/1/100')).equals(after)).toBe(true);
    const { blocks } = await stat(join(place.target, 'base/1/100'));
    expect(blocks * 512).toBeLessThan(1.6 * MIB);
  });

  it('takes incremental files that are too long for memory by way of the disk, and leaves nothing of them', async () => {
    const before = randomBytes(9 * 1024 * BLOCK_BYTES);
    const after = randomBytes(9 * 1024 * BLOCK_BYTES);
    before.copy(after, 0, 100 * BLOCK_BYTES, 105 * BLOCK_BYTES);
    await putChain([
      { relations: { 'base/1/100': before } },
      { relations: { 'base/1/100': after }, changes: { 'base/1/100': { before } } },
    ]);
    expect((await place.restore()).status).toBe(0);
    expect((await restored('base/1/100')).equals(after)).toBe(true);
    expect((await place.made()).filter((path) => path.includes('INCREMENTAL'))).toEqual([]);
  });
});

describe('an incremental file that is not what its manifest says', () => {
  it('is never joined', async () => {
    const newest = (await putChain(THREE)).at(-1) as BackupRecord;
    // Another block number in its header; the archive is sound in itself, and so is what the record says of it.
    await reforge(place.stored, newest, (plain, { files }) => {
      const member = files.find(({ path }) => path === 'base/1/INCREMENTAL.100');
      if (member === undefined) return undefined;
      const forged = Buffer.from(plain);
      forged.writeUInt32LE(3, member.at + 12);
      return { plain: forged };
    });
    const { status, stderr } = await place.restore();
    expect(status).toBe(1);
    expect(stderr).toMatch(/base\/1\/INCREMENTAL.100 is not what was backed up/);
    expect(await place.made()).not.toContain('base/1/100');
  });

  it.each(['/tmp/walhold-was-here/INCREMENTAL.100', 'base/../../out/INCREMENTAL.100'])(
    'is laid nowhere outside, where a link between calls it %s',
    async (name) => {
      const [, between] = await putChain(THREE);
      await reforge(place.stored, between as BackupRecord, (plain, { files }) => {
        const member = files.find(({ path }) => path === 'base/1/INCREMENTAL.100');
        if (member === undefined) return undefined;
        return { plain: forgeHeader(plain, member.at - 512, (header) => header.fill(0, 0, 100).write(name, 0)) };
      });
      const { status, stderr } = await place.restore();
      expect([status, stderr]).toEqual([1, expect.stringMatching(/its path is absolute|path contains "\.\."/)]);
      expect(await readdir(place.root)).toEqual(['target']);
      const made = await place.made();
      expect(made.filter((path) => path.includes('INCREMENTAL') || path === 'global/pg_control')).toEqual([]);
    },
  );

  it('is read from another repository', async () => {
    await using other = await FileRepository.create(2);
    await putChain(THREE);
    await cp(place.stored.root, other.root, { recursive: true });
    for (const n of [0, 1, 2]) {
      for (const part of [1, 2]) {
        const path = join(place.stored.root, partKey(linkId(n) as BackupId, part));
        const bytes = await readFile(path);
        bytes.writeUInt8(bytes.readUInt8(60) ^ 0xff, 60);
        await writeFile(path, bytes);
      }
    }
    const { status, stderr } = await place.restore('--repo2', `file://${other.root}`);
    expect([status, stderr]).toEqual([0, expect.stringMatching(/part-1.tar.zst is read from elsewhere/)]);
    expect(await restored('base/1/100')).toEqual(C);
    expect(await restored('base/1/103')).toEqual(C);
  });

  it('can be a link that only another repository holds, too', async () => {
    await using other = await FileRepository.create(2);
    await putChain(THREE);
    await mkdir(join(other.root, 'backup'));
    await rename(join(place.stored.root, 'backup', linkId(1)), join(other.root, 'backup', linkId(1)));
    const { status, stderr } = await place.restore('--repo2', `file://${other.root}`);
    expect([status, stderr]).toEqual([0, expect.any(String)]);
    expect(await restored('base/1/100')).toEqual(C);
  });
});

describe('random chains', () => {
  const seeds = Array.from({ length: LONG ? 300 : 12 }, (_, index) => index + 1);
  it.each(seeds)('are what they were, page for page: seed %i', async (seed) => {
    const links = randomLinks(seededNumbers(Math.imul(seed, 0x9e3779b1)));
    await putChain(links);
    const result = await place.restore();
    expect([result.status, result.stderr]).toEqual([0, expect.any(String)]);
    const newest = links.at(-1) as LinkContents;
    for (const [path, bytes] of Object.entries(newest.relations)) {
      expect([path, (await restored(path)).equals(bytes)]).toEqual([path, true]);
    }
    const made = (await place.made()).filter((path) => path.startsWith('base/1/'));
    expect(made).toEqual(Object.keys(newest.relations).toSorted());
  });
});

function randomLinks(random: (limit: number) => number): LinkContents[] {
  const links: LinkContents[] = [];
  let relations: Record<string, Buffer> = {};
  for (let n = 0; n < 1 + random(5); n += 1) {
    const next: Record<string, Buffer> = {};
    const changes: Record<string, NonNullable<LinkContents['changes']>[string]> = {};
    for (const [path, before] of Object.entries(relations)) {
      if (random(8) === 0) continue;
      const { after, lowest } = randomChange(before, random);
      next[path] = after;
      if (random(6) > 0) changes[path] = { before, lowest, omitZeros: random(2) === 0, also: () => random(10) === 0 };
    }
    for (let fresh = random(6); fresh > 0; fresh -= 1)
      next[`base/1/${100 + random(20)}`] ??= randomPages(random(30), random);
    links.push({ relations: next, changes });
    relations = next;
  }
  return links;
}

function randomChange(before: Buffer, random: (limit: number) => number): { after: Buffer; lowest: number } {
  const blocks = before.length / BLOCK_BYTES;
  const lowest = random(4) === 0 ? random(blocks + 1) : blocks;
  const grown = random(3) === 0 ? randomPages(random(10), random) : Buffer.alloc(0);
  const after = Buffer.concat([before.subarray(0, lowest * BLOCK_BYTES), grown]);
  for (let writes = random(4); writes > 0 && after.length > 0; writes -= 1) {
    const at = random(after.length / BLOCK_BYTES) * BLOCK_BYTES;
    after.fill(1 + random(250), at, at + BLOCK_BYTES);
  }
  return { after, lowest };
}

function randomPages(blocks: number, random: (limit: number) => number): Buffer {
  return pages(...Array.from({ length: blocks }, () => (random(4) === 0 ? 0 : random(256))));
}

describe('a chain that is not whole', () => {
  const plan = async (...flags: string[]): Promise<PlanJson> =>
    jsonOf<PlanJson>(await place.restore('--dry-run', '--json', ...flags));
  const remove = async (key: string): Promise<void> => await rm(join(place.stored.root, key));
  const idOf = (n: number): BackupId => linkId(n) as BackupId;
  const flipByte = async (key: string, at: (bytes: Buffer) => number): Promise<void> => {
    const bytes = await readFile(join(place.stored.root, key));
    bytes[at(bytes)]! ^= 0xff;
    await writeFile(join(place.stored.root, key), bytes);
  };

  it('is shown by the plan, the full backup first', async () => {
    const records = await putChain(THREE);
    expect(await plan()).toMatchObject({
      reachable: true,
      backup: linkId(2),
      chain: [linkId(0), linkId(1), linkId(2)],
      bytes: records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    });
    expect((await place.restore('--dry-run')).stdout).toMatch(
      /^chain: 20261122T100000Z-full > 20261122T110000Z-incr > 20261122T120000Z-incr$/m,
    );
  });

  it('is passed over with a remark, and the next older backup is used', async () => {
    await putChain(THREE);
    await remove(commitKey(idOf(1)));
    const found = await plan();
    expect(found).toMatchObject({ reachable: true, backup: linkId(0), chain: [linkId(0)] });
    expect(found.remarks?.join()).toMatch(
      /backup 20261122T120000Z-incr is passed over: backup 20261122T110000Z-incr, which .* builds on, is not stored/,
    );
  });

  it('cannot be restored by its name, and the link is named', async () => {
    await putChain(THREE);
    await remove(commitKey(idOf(1)));
    for (const flags of [['--dry-run'], []]) {
      const { status, stderr } = await place.restore('--backup', linkId(2), ...flags);
      expect(status).toBe(1);
      expect(stderr).toMatch(/backup 20261122T120000Z-incr cannot be restored: its chain is broken/);
      expect(stderr).toMatch(/20261122T110000Z-incr, which 20261122T120000Z-incr builds on, is not stored/);
      expect(stderr).toMatch(/hint: Restore an older backup/);
    }
  });

  it('is damaged where the record of a link is', async () => {
    await putChain(THREE);
    await writeFile(join(place.stored.root, commitKey(idOf(0))), '{}');
    const { status, stderr } = await place.restore('--backup', linkId(2));
    expect(status).toBe(1);
    expect(stderr).toMatch(/20261122T100000Z-full, which 20261122T110000Z-incr builds on, cannot be trusted/);
    expect(await place.made()).toEqual([]);
  });

  it.each<[string, RegExp, () => Promise<void>]>([
    [
      'a part of the full backup is gone',
      /100000Z-full\/part-1.tar.zst: the backup names it/,
      () => remove(partKey(idOf(0), 1)),
    ],
    [
      'a part of a link between is shorter',
      /110000Z-incr\/part-2.tar.zst: it has 5 bytes/,
      () => place.stored.put(partKey(idOf(1), 2), 'short'),
    ],
    [
      'a part of a link between is gone',
      /110000Z-incr\/part-2.tar.zst: the backup names it/,
      () => remove(partKey(idOf(1), 2)),
    ],
    [
      'the manifest of a link between is damaged',
      /110000Z-incr\/backup_manifest.zst/,
      () => flipByte(manifestKey(idOf(1)), (bytes) => bytes.length - 9),
    ],
    [
      'the part with the label of a link between is damaged',
      /110000Z-incr/,
      () => flipByte(partKey(idOf(1), 3), () => 60),
    ],
    ['a manifest is gone', /110000Z-incr\/backup_manifest.zst is missing/, () => remove(manifestKey(idOf(1)))],
  ])('is found before anything is written: %s', async (_what, message, harm) => {
    await putChain(THREE);
    await harm();
    const { status, stderr } = await place.restore();
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(await place.made()).toEqual([]);
  });

  it.each([0, 1, 2])('is never joined where a block of link %i is damaged, and the part is named', async (n) => {
    await putChain(THREE);
    await flipByte(partKey(idOf(n), 1), () => 60);
    const { status, stderr } = await place.restore();
    expect(status).toBe(1);
    expect(stderr).toContain(partKey(idOf(n), 1));
    expect(await place.made()).not.toContain('global/pg_control');
  });

  it('is found by a label that names another beginning than the parent has', async () => {
    await putChain(THREE, { from: lsn(0x12345n) });
    const { status, stderr } = await place.restore();
    expect(status).toBe(1);
    expect(stderr).toMatch(/its label says that it builds on 0\/12345 on timeline 1, not on 0\/300028/);
    expect(await place.made()).toEqual([]);
  });

  it('is found where a link lacks a file that a newer one builds on', async () => {
    const [full, ...others] = THREE as [LinkContents, ...LinkContents[]];
    const { 'base/1/101': _, ...rest } = full.relations;
    await putChain([{ ...full, relations: rest }, ...others]);
    const { stderr } = await place.restore();
    expect(stderr).toMatch(/backup 20261122T100000Z-full is no whole link of its chain/);
    expect(stderr).toMatch(/it lacks base\/1\/101, of which a newer backup has the changed blocks alone/);
    expect(await place.made()).toEqual([]);
  });
});
