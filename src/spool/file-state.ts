import type { BigIntStats } from 'node:fs';
import { stat, utimes, writeFile } from 'node:fs/promises';

/** What changes whenever a file's content does, or another file takes its name. */
export interface FileState {
  device: bigint;
  inode: bigint;
  bytes: bigint;
  modifiedNs: bigint;
  changedNs: bigint;
}

export function stateOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileState {
  return { device: dev, inode: ino, bytes: size, modifiedNs: mtimeNs, changedNs: ctimeNs };
}

/** `undefined`: there is no regular file of that name, or it cannot be looked at. */
export async function readState(path: string): Promise<FileState | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found?.isFile() === true ? stateOf(found) : undefined;
}

export function sameState(a: FileState | undefined, b: FileState | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.device === b.device &&
    a.inode === b.inode &&
    a.bytes === b.bytes &&
    a.modifiedNs === b.modifiedNs &&
    a.changedNs === b.changedNs
  );
}

/** Node sets times in microseconds, from a number that holds them but for the last digit. */
const MARGIN_US = 2n;

/**
 * Writes two files whose times lie right before and right after that of another: a shell, which can only tell newer from older, so
 * sees any change of that time, back or forth. busybox compares whole seconds and finds neither newer nor older: there calls look for
 * themselves. (A second around the file would do but for what is written within it, or in the same one again after the clock was set
 * back.) Returns whether this filesystem's times are fine enough for it.
 */
export async function bracketTime(
  state: FileState,
  { before, after, text }: { before: string; after: string; text: string },
): Promise<boolean> {
  const us = state.modifiedNs / 1000n;
  await writeFile(before, '', { mode: 0o600 });
  await setTime(before, us - MARGIN_US);
  await writeFile(after, text, { mode: 0o600 });
  await setTime(after, us + MARGIN_US + 1n);
  const [low, high] = await Promise.all([readState(before), readState(after)]);
  if (low === undefined || high === undefined) return false;
  return low.modifiedNs < state.modifiedNs && state.modifiedNs < high.modifiedNs;
}

async function setTime(path: string, us: bigint): Promise<void> {
  const seconds = Number(us) / 1e6;
  await utimes(path, seconds, seconds);
}
