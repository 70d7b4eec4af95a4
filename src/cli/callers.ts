import { readFileSync } from 'node:fs';

const MOST = 20;

/**
 * The processes above this one, the launcher first, as they are now: when one has ended, whatever it had started is somebody else's.
 * Only the launcher where `/proc` does not tell.
 */
export function callers(): number[] {
  const found: number[] = [];
  for (let pid = process.ppid; pid > 0 && found.length < MOST;) {
    found.push(pid);
    const parent = parentOf(pid);
    if (parent === undefined) break;
    pid = parent;
  }
  return found;
}

function parentOf(pid: number): number | undefined {
  try {
    // The name in parentheses may hold anything: what follows the last one are state and parent.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    return Number.isInteger(parent) ? parent : undefined;
  } catch {
    return undefined;
  }
}
