import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { restoreCommand, type HookOptions } from './hook.ts';
import type { Settings } from './server-settings.ts';

/**
 * Has a copy of a cluster recover from the archive at its next start, with nothing but PostgreSQL's own settings: to the end of the
 * WAL unless `settings` name a target. It archives nothing itself.
 */
export async function recoverFromArchive(copy: Cluster, hook: HookOptions, settings: Settings = {}): Promise<void> {
  await copy.runOk(['touch', join(copy.dataDir, 'recovery.signal')]);
  await copy.configure({ archive_mode: 'off', restore_command: await restoreCommand(hook), ...settings });
}

/** How a recovery ended that had to stop: with its status, what it logged, and whether it promoted all the same. */
export interface Stopped {
  status: number | null;
  log: string;
  promoted: boolean;
}

/** Starts a server whose recovery must not succeed, and waits until it has ended. */
export async function startInVain(cluster: Cluster, deadlineMs = 60_000): Promise<Stopped> {
  const before = (await cluster.logText()).length;
  await cluster.start({ until: 'nothing' });
  const { status } = await cluster.waitForEnd(deadlineMs);
  const log = (await cluster.logText()).slice(before);
  return { status, log, promoted: hasPromoted(log) };
}

/** Whether a log tells of a recovery that came to its end. */
export function hasPromoted(log: string): boolean {
  return /selected new timeline ID|archive recovery complete/.test(log);
}
