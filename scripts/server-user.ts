import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';

/** An account of this machine, as `spawn` needs it to run something under that name. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The account that servers made for tests and demonstrations run under: the current one, unless that is root, which
 * PostgreSQL refuses; then `postgres`, else `nobody`.
 *
 * @throws when the current user is root and neither account exists.
 */
export function serverUser(): Account {
  const me = userInfo();
  if (me.uid !== 0) {
    return { name: me.username, uid: me.uid, gid: me.gid };
  }
  const account = accountNamed('postgres') ?? accountNamed('nobody');
  if (account === undefined) {
    throw new Error('PostgreSQL does not run as root, and there is neither an account "postgres" nor "nobody"');
  }
  return account;
}

/** The account of that name in `/etc/passwd`, or `undefined` when there is none. */
export function accountNamed(name: string): Account | undefined {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [found, , uid, gid] = line.split(':');
    if (found === name && uid !== undefined && gid !== undefined) {
      return { name, uid: Number(uid), gid: Number(gid) };
    }
  }
  return undefined;
}

/** True when the current user is root, so that servers need another account than its own. */
export function isRoot(): boolean {
  return userInfo().uid === 0;
}

/** The options that make `spawn` run a program as `account`; none when that is the current user already. */
export function asAccount(account: Account): { uid?: number; gid?: number } {
  return account.uid === userInfo().uid ? {} : { uid: account.uid, gid: account.gid };
}
