/** Which members of a chain's links make up the files of its newest backup. Pure. */
import { WalholdError } from '../base/errors.ts';
import { plainPath } from '../postgres/incremental-file.ts';
import type { Manifest } from '../postgres/manifest-reader.ts';
import type { BackupRecord } from './backup-record.ts';

/**
 * `whole`: it is a file of the newest backup. `blocks`: an incremental file, some of whose blocks may be needed. `base`: a whole file of
 * an older link, below incremental ones. `unused`: nothing of it is needed. `blank`: a file of its size is wanted, and none of its bytes.
 */
export type MemberUse = 'whole' | 'blocks' | 'base' | 'unused' | 'blank';

/** Whether its bytes must be read. */
export function isRead(use: MemberUse): boolean {
  return use !== 'unused' && use !== 'blank';
}

/** A member of a link, as its record and its manifest have it. */
export interface LinkMember {
  path: string | Uint8Array;
  size: number;
  /** 64 hex digits. */
  sha256: string;
  use: MemberUse;
}

/** What becomes of a member that its chain needs: as it is, or less. */
export type Selection = (member: LinkMember) => MemberUse;

/** What of one link is needed, by a member's path. */
export type LinkUse = (path: string | Uint8Array) => MemberUse;

/** The path of the file that this member becomes, or becomes a part of. */
export function joinedPath(path: string | Uint8Array, use: MemberUse): string | Uint8Array {
  return use === 'blocks' && typeof path === 'string' ? (plainPath(path) ?? path) : path;
}

/**
 * Is shown the manifests of the links from the newest to the full one. A file that the newest has as an incremental one is sought in
 * each older link, up to the first that has it whole; what is not sought is not needed, whatever older links hold.
 */
export class ChainFiles {
  #begun = false;
  #sought = new Set<string>();

  /** Whether the newest has been seen. */
  get begun(): boolean {
    return this.#begun;
  }

  /** How many files are put together from several links. */
  get sought(): number {
    return this.#sought.size;
  }

  /** Throws `damaged` where the link lacks a file that a newer one builds on. */
  next({ id, type }: Pick<BackupRecord, 'id' | 'type'>, { files }: Pick<Manifest, 'files'>): LinkUse {
    const incremental = type === 'incremental';
    const newest = !this.#begun;
    const before = this.#sought;
    const seen = new Set<string>();
    const after = new Set<string>();
    for (const { path } of files) {
      if (typeof path !== 'string') continue;
      const plain = incremental ? plainPath(path) : undefined;
      const name = plain ?? path;
      if (!newest && !before.has(name)) continue;
      if (seen.has(name)) throw damaged(id, `it holds ${shown(name)} both whole and as an incremental file`);
      seen.add(name);
      if (plain !== undefined) after.add(plain);
    }
    for (const name of before) if (!seen.has(name)) throw lacks(id, name);
    this.#begun = true;
    this.#sought = after;
    return (path) => {
      const plain = incremental && typeof path === 'string' ? plainPath(path) : undefined;
      if (newest) return plain === undefined ? 'whole' : 'blocks';
      if (plain !== undefined) return before.has(plain) ? 'blocks' : 'unused';
      return typeof path === 'string' && before.has(path) ? 'base' : 'unused';
    };
  }
}

function lacks(id: string, name: string): WalholdError {
  return damaged(id, `it lacks ${shown(name)}, of which a newer backup has the changed blocks alone`);
}

function shown(name: string): string {
  return name.slice(0, 200);
}

function damaged(id: string, detail: string): WalholdError {
  return new WalholdError('damaged', `backup ${id} is no whole link of its chain`, {
    detail,
    hint: 'Restore an older backup, or see "walhold verify".',
  });
}
