import { readdirSync, readFileSync } from 'node:fs';

/** The background workers that serve this data directory. */
export function workersOf(dataDirectory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const words = commandLine(pid);
      return words.at(-1) === dataDirectory && words.at(-2)?.endsWith('/worker.js') === true;
    })
    .map(Number);
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}
