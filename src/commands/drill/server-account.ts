import { userInfo } from 'node:os';
import { hasCode } from '../../base/errors.ts';
import type { TarEntry } from '../../stream/untar.ts';
import type { Account } from '../../server/keeper.ts';
import { ownerFor } from '../restore/owner.ts';

/** Under whom the private server runs, and who may be its superuser. */
export interface ServerAccount {
  /** `undefined`: whoever runs this. */
  account: Account | undefined;
  /** In the order to be tried: the usual name, then that of the account which made the cluster, as `initdb` gives it. */
  superusers: readonly string[];
}

/** A server does not run as root: then it runs as who had the files, else as `postgres`. Throws `refused` where there is neither. */
export function serverAccount(uid: number, recorded: Pick<TarEntry, 'user' | 'group' | 'uid' | 'gid'>): ServerAccount {
  const names = ['postgres', recorded.user, uid === 0 ? '' : userInfo().username];
  return { account: accountFor(uid, recorded), superusers: [...new Set(names.filter((name) => name !== ''))] };
}

function accountFor(uid: number, recorded: Pick<TarEntry, 'user' | 'group' | 'uid' | 'gid'>): Account | undefined {
  try {
    return ownerFor({ uid, directory: undefined, recorded });
  } catch (error) {
    if (!hasCode(error, 'refused') || recorded.user === 'postgres') throw error;
    return ownerFor({ uid, directory: undefined, recorded: { ...recorded, user: 'postgres', group: 'postgres' } });
  }
}
