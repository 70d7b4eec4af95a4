import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { processesWith, signalAll } from './process-tree.ts';

/** Numbers from 0 to below `limit`, the same for the same seed. */
export function seededNumbers(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** The processes that a server's command started whose command line has this in it: a launcher's or a program's name. */
export function commandsOf(cluster: Cluster, word: string): number[] {
  return processesWith('WALHOLD_TEST_CLUSTER', cluster.place.path).filter((pid) => commandLine(pid).includes(word));
}

export interface Victims {
  /** In the command line. */
  words: readonly string[];
  kills: number;
  random: (limit: number) => number;
  /** Ends it early. */
  until?: () => boolean;
}

/** SIGKILL for so many of a server's commands, each some time after it was first seen; returns how many there were. */
export async function killCommands(cluster: Cluster, { words, kills, random, until }: Victims): Promise<number> {
  let killed = 0;
  let patience = random(40);
  while (killed < kills && until?.() !== true) {
    const word = words[killed % words.length] ?? '';
    const [pid] = commandsOf(cluster, word);
    if (pid !== undefined && patience === 0) {
      signalAll([pid], 'SIGKILL');
      killed += 1;
      patience = random(40);
    } else if (pid !== undefined) {
      patience -= 1;
    }
    await delay(2);
  }
  return killed;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
