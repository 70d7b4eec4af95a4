import { readFileSync } from 'node:fs';
import { descendants } from '../../test/support/process-tree.ts';

export interface SumSampler {
  /** Ends the sampling; the sums seen, in bytes, the first from before its start was over. Fine to call twice. */
  stop(): readonly number[];
}

/**
 * Samples the memory of processes: the sum of their proportional set sizes, in which a page that several share counts once.
 * Peaks shorter than the interval can be missed.
 *
 * @param pids those that are to be counted, each time anew.
 */
export function sampleSums(pids: () => readonly number[], everyMs: number): SumSampler {
  const sums: number[] = [];
  const sample = (): void => {
    sums.push(
      pids()
        .map(proportionalBytes)
        .reduce((all, one) => all + one, 0),
    );
  };
  sample();
  const timer = setInterval(sample, everyMs);
  return {
    stop: () => {
      clearInterval(timer);
      return sums;
    },
  };
}

/** The most that a process and all below it have at once, until it is asked for: see {@link sampleSums}. */
export function sampleMemory(pid: number, everyMs: number): { stop(): number } {
  const sampler = sampleSums(() => [pid, ...descendants(pid)], everyMs);
  return { stop: () => Math.max(...sampler.stop()) };
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
