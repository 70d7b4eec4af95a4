import { pathKey } from '../../postgres/path-key.ts';
import type { LinkMember, MemberUse, Selection } from '../../repository/chain-files.ts';
import { isUnchanged } from '../../repository/join-state.ts';
import { addTo, type Amount } from './amount.ts';
import type { SizedFile } from './disk-protocol.ts';
import type { JoinedFile, JoinedFiles } from './joined-files.ts';
import type { BlankFile } from './thread-protocol.ts';

export interface SelectionInput {
  /** Files that lie in the target as the newest backup has them, by `pathKey`. */
  kept: ReadonlySet<string>;
  /** What lies where a joined file goes, by its path. */
  found: ReadonlyMap<string, JoinedFile>;
  /** Files of databases that are not restored. */
  isBlank: (path: string | Uint8Array) => boolean;
  blockBytes: number;
}

/** What of a chain is brought, where that is not all of it; and what becomes of the rest. */
export class RestoreSelection {
  readonly #input: SelectionInput;
  readonly blanks: BlankFile[] = [];
  /** In the target already; those that several links are joined to are known when the restore has come to the last of these. */
  readonly kept: SizedFile[] = [];
  /** Of all that is not kept; at most, where files are joined. */
  readonly written: Amount = { files: 0, bytes: 0 };

  constructor(input: SelectionInput) {
    this.#input = input;
  }

  /** For each member of each link once, before a byte moves. */
  readonly plan: Selection = (member) => {
    const { path, size, use } = member;
    if (this.#input.isBlank(path)) {
      if (use === 'whole' || use === 'base') this.blanks.push({ path, size });
      return blankUse(use);
    }
    if (use === 'whole' && this.#input.kept.has(pathKey(path))) {
      this.kept.push({ path, size });
      return 'unused';
    }
    if (use === 'whole' || use === 'base') addTo(this.written, size);
    return use;
  };

  /** For those of an older link, when all newer ones are in their place. */
  below(joined: JoinedFiles): Selection {
    return (member) => {
      if (this.#input.isBlank(member.path)) return blankUse(member.use);
      if (member.use !== 'base' || !this.#isThere(member, joined)) return member.use;
      const { path, size, sha256 } = member;
      joined.keep(String(path), { size, sha256 });
      this.kept.push({ path, size });
      this.written.files -= 1;
      this.written.bytes -= size;
      return 'unused';
    };
  }

  /** No newer link has changed it since, and it lies in the target. */
  #isThere({ path, size, sha256 }: LinkMember, joined: JoinedFiles): boolean {
    const { found, blockBytes } = this.#input;
    const state = typeof path === 'string' ? joined.stateOf(path) : undefined;
    const there = typeof path === 'string' ? found.get(path) : undefined;
    if (state === undefined || there === undefined) return false;
    return isUnchanged(state, size, blockBytes) && there.size === size && there.sha256 === sha256;
  }
}

function blankUse(use: MemberUse): MemberUse {
  return use === 'whole' || use === 'base' ? 'blank' : 'unused';
}
