import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** What a reader should know of the machine, in a line. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  return `${cpus().length} cores (${model}), ${Math.round(totalmem() / 1024 ** 3)} GB memory, Linux ${kernel()}`;
}

function kernel(): string {
  return /^(\d+\.\d+)/.exec(readFileSync('/proc/sys/kernel/osrelease', 'utf8'))?.[1] ?? '?';
}
