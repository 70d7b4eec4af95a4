import { readFileSync } from 'node:fs';

/** Names for the numbers of owners and groups, as the local files know them; empty for those they do not. */
export interface AccountNames {
  user(uid: number): string;
  group(gid: number): string;
}

/** Reads `passwd` and `group` once; users of other directories stay numbers. */
export function accountNames(directory = '/etc'): AccountNames {
  const users = namesIn(`${directory}/passwd`);
  const groups = namesIn(`${directory}/group`);
  return { user: (uid) => users.get(uid) ?? '', group: (gid) => groups.get(gid) ?? '' };
}

function namesIn(path: string): Map<number, string> {
  const found = new Map<number, string>();
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // Numbers do without names.
  }
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name === undefined || id === undefined || !/^[0-9]{1,10}$/.test(id)) continue;
    if (!found.has(Number(id))) found.set(Number(id), name);
  }
  return found;
}
