import { readFileSync } from 'node:fs';
import { WalholdError } from '../../base/errors.ts';
import type { TarEntry } from '../../stream/untar.ts';
import type { Owner } from './target-directory.ts';

export interface OwnerInput {
  /** Of this process. */
  uid: number;
  /** Of the directory to be filled; `undefined`: it does not exist yet. */
  directory: Owner | undefined;
  /** Of the files when they were backed up. */
  recorded: Pick<TarEntry, 'user' | 'group' | 'uid' | 'gid'>;
  /** Where `passwd` and `group` lie. */
  accounts?: string;
}

/**
 * Who shall own what is restored; `undefined`: whoever runs this. A server does not run as root and wants its files to be its own, so
 * root gives them to the owner of the directory, else to the account that had them. Throws `refused` where neither tells.
 */
export function ownerFor({ uid, directory, recorded, accounts = '/etc' }: OwnerInput): Owner | undefined {
  if (uid !== 0) return undefined;
  if (directory !== undefined && directory.uid !== 0) return directory;
  const user = numbersOf(`${accounts}/passwd`, recorded.user);
  const group = numbersOf(`${accounts}/group`, recorded.group);
  if (user !== undefined && user.id !== 0) return { uid: user.id, gid: group?.id ?? user.second ?? user.id };
  throw new WalholdError('refused', 'could not tell who shall own the restored files', {
    detail: `this runs as root, and the files belonged to "${recorded.user}" (${recorded.uid}), which is no account here`,
    hint: "Run it as the server's account, or make the directory and give it to that account first.",
  });
}

/** Third and fourth field of a line of `passwd` or `group`. */
function numbersOf(path: string, name: string): { id: number; second: number | undefined } | undefined {
  if (name === '') return undefined;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [found, , id = '', second = ''] = line.split(':');
    if (found !== name || !/^[0-9]{1,10}$/.test(id)) continue;
    return { id: Number(id), second: /^[0-9]{1,10}$/.test(second) ? Number(second) : undefined };
  }
  return undefined;
}
