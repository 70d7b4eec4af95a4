/** What an incremental backup stands on: its parent, that one's parent, down to a full backup. Pure. */
import { WalholdError } from '../base/errors.ts';
import type { BackupLabel } from '../postgres/backup-label.ts';
import { formatLsn } from '../postgres/lsn.ts';
import type { BackupList, BackupSummary } from './backups.ts';
import type { BackupId } from './layout.ts';

/** What must be known of a backup to tell whether it can be built upon. */
export type ChainLink = Pick<BackupSummary, 'id' | 'type' | 'parent' | 'startLsn' | 'timeline'> & {
  readonly server: Pick<
    BackupSummary['server'],
    'systemId' | 'major' | 'blockBytes' | 'blocksPerFile' | 'segmentBytes'
  >;
};

/** The full backup first, as pg_combinebackup takes them; of a full backup it is all there is. */
export type Chain<L> = { readonly whole: true; readonly links: readonly L[] } | BrokenChain;

export interface BrokenChain {
  readonly whole: false;
  /** `not-found`: a link is not stored; `damaged`: it cannot be trusted, or does not fit. */
  readonly code: 'not-found' | 'damaged';
  /** The link that is missing or wrong. */
  readonly link: BackupId;
  readonly why: string;
}

/** What is stored under an identifier. `damaged`: a record that cannot be trusted. */
export type FindLink<L> = (id: BackupId) => L | 'damaged' | undefined;

/** More than one an hour for a year, on one full backup. */
const MOST_LINKS = 10_000;

/** Follows the parents, and holds each link against the one that builds on it. */
export function chainOf<L extends ChainLink>(backup: L, find: FindLink<L>): Chain<L> {
  const newestFirst: L[] = [backup];
  for (let child = backup; child.type === 'incremental';) {
    const id = child.parent;
    if (id === undefined) return broken('damaged', child.id, `incremental backup ${child.id} names no parent`);
    const built = `which ${child.id} builds on`;
    const parent = find(id);
    if (parent === undefined) return broken('not-found', id, `backup ${id}, ${built}, is not stored`);
    if (parent === 'damaged') return broken('damaged', id, `backup ${id}, ${built}, cannot be trusted`);
    const misfit = misfitOf(child, parent);
    if (misfit !== undefined) return broken('damaged', id, `backup ${id}, ${built}, ${misfit}`);
    newestFirst.push(parent);
    if (newestFirst.length > MOST_LINKS) return broken('damaged', id, `more than ${MOST_LINKS} backups build on it`);
    child = parent;
  }
  return { whole: true, links: newestFirst.reverse() };
}

/** Looks links up among the backups of a listing. */
export function linksOf({ backups, damaged }: Pick<BackupList, 'backups' | 'damaged'>): FindLink<BackupSummary> {
  const byId = new Map(backups.map(({ summary }) => [summary.id, summary]));
  const untrusted = new Set(damaged.map(({ id }) => id));
  return (id) => byId.get(id) ?? (untrusted.has(id) ? 'damaged' : undefined);
}

/** Those of a listing that can be restored: their chains are whole. */
export function wholeBackups<L extends Pick<BackupList, 'backups' | 'damaged'>>(list: L): L['backups'] {
  const find = linksOf(list);
  return list.backups.filter(({ summary }) => chainOf(summary, find).whole);
}

/** What is wrong with a label that should say where the parent began; `undefined`: it says so. A full backup has no parent. */
export function labelMisfit(
  { incrementalFrom: from }: Pick<BackupLabel, 'incrementalFrom'>,
  parent: Pick<ChainLink, 'id' | 'startLsn' | 'timeline'> | undefined,
): string | undefined {
  if (parent === undefined) return from === undefined ? undefined : 'its label is that of an incremental backup';
  const began = `${formatLsn(parent.startLsn)} on timeline ${parent.timeline}, where ${parent.id} began`;
  if (from === undefined) return `its label does not say that it builds on ${began}`;
  if (from.lsn === parent.startLsn && from.timeline === parent.timeline) return undefined;
  return `its label says that it builds on ${formatLsn(from.lsn)} on timeline ${from.timeline}, not on ${began}`;
}

/** A broken chain as an error. */
export function chainError(id: BackupId, { code, why }: Pick<BrokenChain, 'code' | 'why'>): WalholdError {
  return new WalholdError(code, `backup ${id} cannot be restored: its chain is broken`, {
    detail: why,
    hint: 'Restore an older backup, or read from another repository; see "walhold list" and "walhold verify".',
  });
}

function misfitOf(child: ChainLink, parent: ChainLink): string | undefined {
  const [a, b] = [child.server, parent.server];
  // No parent is younger than its child: this also keeps chains from going round in circles.
  if (parent.id >= child.id) return 'is not older than that';
  if (a.systemId !== b.systemId) return `is of cluster ${b.systemId}, not ${a.systemId}`;
  if (a.major !== b.major) return `is of PostgreSQL ${b.major}, not ${a.major}`;
  if (a.blockBytes !== b.blockBytes) return `has blocks of ${b.blockBytes} bytes, not ${a.blockBytes}`;
  if (a.blocksPerFile !== b.blocksPerFile) return `has ${b.blocksPerFile} blocks to a file, not ${a.blocksPerFile}`;
  if (a.segmentBytes !== b.segmentBytes) return `has WAL segments of ${b.segmentBytes} bytes, not ${a.segmentBytes}`;
  if (parent.startLsn > child.startLsn) return `begins at ${formatLsn(parent.startLsn)}, behind it`;
  if (parent.timeline > child.timeline) return `is on timeline ${parent.timeline}, a later one`;
  return undefined;
}

function broken(code: BrokenChain['code'], link: BackupId, why: string): BrokenChain {
  return { whole: false, code, link, why };
}
