import { closeSync, fstatSync, readdirSync } from 'node:fs';

/**
 * Closes what the server's own process left open in this one: its data files, whose space would not be freed, and the pipes of its
 * logger and its death watch. This process's own pipes have both ends here. For the end of a process: whatever it opened itself
 * among the regular files is closed with them.
 */
export function closeInherited(): void {
  const pipes = new Map<number, number[]>();
  for (const fd of openDescriptors()) {
    try {
      const found = fstatSync(fd);
      if (found.isFile()) closeSync(fd);
      else if (found.isFIFO()) pipes.set(found.ino, [...(pipes.get(found.ino) ?? []), fd]);
    } catch {
      // The listing's own descriptor is gone by now.
    }
  }
  for (const [fd, ...others] of pipes.values()) if (fd !== undefined && others.length === 0) closeSync(fd);
}

function openDescriptors(): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd > 2);
}
