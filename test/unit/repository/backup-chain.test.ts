import { describe, expect, it } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { chainError, chainOf, labelMisfit, type ChainLink } from '../../../src/repository/backup-chain.ts';
import { parseBackupId, type BackupId } from '../../../src/repository/layout.ts';

const idOf = (minute: number, type: 'full' | 'incr'): BackupId =>
  parseBackupId(`20261122T17${String(minute).padStart(2, '0')}00Z-${type}`) as BackupId;

function link(minute: number, parent?: BackupId, change: Partial<ChainLink> = {}): ChainLink {
  const server = { systemId: 7n, major: 15, blockBytes: 8192, blocksPerFile: 131072, segmentBytes: 16 * 1024 * 1024 };
  const id = idOf(minute, parent === undefined ? 'full' : 'incr');
  const type = parent === undefined ? 'full' : 'incremental';
  return { id, type, parent, startLsn: lsn(BigInt(minute) * 1000n), timeline: timelineId(1), server, ...change };
}

const full = link(1);
const first = link(2, full.id);
const second = link(3, first.id);

/** The chain of `backup` among these. */
const among =
  (...links: ChainLink[]) =>
  (id: BackupId): ChainLink | undefined =>
    links.find((one) => one.id === id);

describe('a chain', () => {
  it('is the full backup alone, or leads from it to the incremental one', () => {
    expect(chainOf(full, among())).toEqual({ whole: true, links: [full] });
    expect(chainOf(second, among(full, first, second))).toEqual({ whole: true, links: [full, first, second] });
  });

  it('is broken where a link is missing or damaged, however deep', () => {
    expect(chainOf(second, among(first))).toMatchObject({ whole: false, code: 'not-found', link: full.id });
    expect(chainOf(second, among(full))).toMatchObject({ whole: false, code: 'not-found', link: first.id });
    const found = chainOf(second, (id) => (id === full.id ? 'damaged' : first));
    expect(found).toMatchObject({ whole: false, code: 'damaged', link: full.id });
    expect(found).toMatchObject({ why: `backup ${full.id}, which ${first.id} builds on, cannot be trusted` });
  });

  it.each<[string, Partial<ChainLink>]>([
    ['is of cluster 8, not 7', { server: { ...full.server, systemId: 8n } }],
    ['is of PostgreSQL 16, not 15', { server: { ...full.server, major: 16 } }],
    ['has blocks of 4096 bytes, not 8192', { server: { ...full.server, blockBytes: 4096 } }],
    ['has 1 blocks to a file, not 131072', { server: { ...full.server, blocksPerFile: 1 } }],
    ['has WAL segments of 1048576 bytes, not 16777216', { server: { ...full.server, segmentBytes: 1024 * 1024 } }],
    ['begins at 0/FFFF, behind it', { startLsn: lsn(0xffffn) }],
    ['is on timeline 2, a later one', { timeline: timelineId(2) }],
  ])('is broken where a parent %s', (why, change) => {
    const other = { ...full, ...change };
    const found = chainOf(second, among(other, first));
    expect(found).toMatchObject({ whole: false, code: 'damaged', link: full.id });
    expect(found).toMatchObject({ why: `backup ${full.id}, which ${first.id} builds on, ${why}` });
  });

  it('never goes round in circles', () => {
    const looped = link(2, second.id);
    expect(chainOf(second, among({ ...looped, id: first.id }, second))).toMatchObject({ why: /not older/ });
    expect(chainOf({ ...first, parent: first.id }, among(first))).toMatchObject({ why: /not older/ });
    expect(chainOf({ ...first, parent: undefined }, among(first))).toMatchObject({ why: /names no parent/ });
  });

  it('has a bounded length', () => {
    const links = new Map<BackupId, ChainLink>();
    for (let at = 20_000, parent: BackupId | undefined; at < 30_050; at += 1) {
      const id = `202611${at}T000000Z` as BackupId;
      links.set(id, { ...link(1, parent), id, startLsn: lsn(1n) });
      parent = id;
    }
    const newest = [...links.values()].at(-1) as ChainLink;
    expect(chainOf(newest, (id) => links.get(id))).toMatchObject({ whole: false, why: /more than 10000 backups/ });
  });

  it('is told as an error that names the link', () => {
    const found = chainOf(second, among(first));
    if (found.whole) throw new Error('it should be broken');
    const error = chainError(second.id, found);
    expect(error).toMatchObject({
      code: 'not-found',
      detail: `backup ${full.id}, which ${first.id} builds on, is not stored`,
    });
    expect(error.hint).toMatch(/older backup/);
  });
});

describe('a label', () => {
  it('must say where the parent began', () => {
    const from = { lsn: full.startLsn, timeline: full.timeline };
    expect(labelMisfit({ incrementalFrom: from }, full)).toBeUndefined();
    expect(labelMisfit({ incrementalFrom: undefined }, undefined)).toBeUndefined();
    expect(labelMisfit({ incrementalFrom: from }, undefined)).toMatch(/that of an incremental/);
    expect(labelMisfit({ incrementalFrom: undefined }, full)).toMatch(/does not say/);
    expect(labelMisfit({ incrementalFrom: { ...from, lsn: lsn(5n) } }, full)).toMatch(
      /builds on 0\/5 on timeline 1, not/,
    );
    expect(labelMisfit({ incrementalFrom: { ...from, timeline: timelineId(2) } }, full)).toMatch(/timeline 2, not/);
  });
});
