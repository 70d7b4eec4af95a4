import { readFile, realpath } from 'node:fs/promises';

/**
 * Whether every reading moves the access times of files below `path` (`strictatime`): then it ends a retention. `undefined` where the
 * system does not say (proc(5), mountinfo).
 */
export async function movesAccessTimes(path: string): Promise<boolean | undefined> {
  try {
    return readMountOptions(await readFile('/proc/self/mountinfo', 'utf8'), await realpath(path));
  } catch {
    return undefined;
  }
}

/** The same from the text of a mountinfo. */
export function readMountOptions(mountinfo: string, path: string): boolean | undefined {
  let longest = -1;
  let options: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const [, , , , escaped = '', settings = ''] = line.split(' ');
    const point = escaped.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const inside = point === '/' || path === point || path.startsWith(`${point}/`);
    // Of mounts over one another the last counts.
    if (point === '' || !inside || point.length < longest) continue;
    longest = point.length;
    options = settings.split(',');
  }
  return longest < 0 ? undefined : !options.includes('relatime') && !options.includes('noatime');
}
