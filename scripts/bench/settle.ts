import { spawnSync } from 'node:child_process';

/** So that nobody pays for what another has left to be written. */
export function settle(): void {
  spawnSync('sync');
}
