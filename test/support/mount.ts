import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why no filesystem of its own can be had here, or `undefined`. */
export const noMount: string | undefined = ((): string | undefined => {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  const probe = join(tmpdir(), `walhold-mount-probe-${process.pid}`);
  try {
    execFileSync('mkdir', [probe]);
    mount('tmpfs', probe, 'size=64k');
    execFileSync('umount', [probe]);
    return undefined;
  } catch {
    return 'mount(8) is not allowed here';
  } finally {
    execFileSync('rmdir', [probe]);
  }
})();

/** A new filesystem in memory over the directory. */
export function mount(type: 'tmpfs' | 'ramfs', directory: string, options: string): void {
  execFileSync('mount', ['-t', type, '-o', options, type, directory], { stdio: 'ignore' });
}

/** Takes it off again, if it is there; what somebody has open in it stays until that is closed. */
export function unmount(directory: string): void {
  execFileSync('sh', ['-c', 'umount -l "$0" 2>/dev/null || true', directory]);
}
