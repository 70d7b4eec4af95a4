import { readFileSync } from 'node:fs';
import { descendants } from '../../test/support/process-tree.ts';

export interface MemorySampler {
  /** Ends the sampling; the largest sum seen, in bytes. */
  stop(): number;
}

/**
 * Samples the memory of a process and of all below it: the sum of their proportional set sizes, in which a page that several
 * share counts once. Peaks shorter than the interval can be missed.
 */
export function sampleMemory(pid: number, everyMs: number): MemorySampler {
  let peak = 0;
  const sample = (): void => {
    const sum = [pid, ...descendants(pid)].map(proportionalBytes).reduce((all, one) => all + one, 0);
    peak = Math.max(peak, sum);
  };
  sample();
  const timer = setInterval(sample, everyMs);
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

/** PSS of one process; 0 for one that has ended. */
function proportionalBytes(pid: number): number {
  try {
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}
