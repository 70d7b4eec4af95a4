/**
 * The immutable attribute of files (`chattr +i`): nobody, root included, can write, rename, link or unlink such a file before root has
 * taken it off again. Node has no call for it, so e2fsprogs' programs do it, one process for many files.
 */
import { execFile } from 'node:child_process';
import { reasonOf, systemCode, WalholdError } from '../base/errors.ts';
import { requireRoot } from './file-errors.ts';
import type { CallOptions } from './store.ts';

/** Of arguments to one process: far below what Linux takes, and a thousand names and more. */
const MOST_BYTES = 128 * 1024;
const MOST_OUTPUT_BYTES = 16 * 1024 * 1024;
/** Neither the caller's `PATH` nor its language decides what runs and how it answers. */
const ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' };

/**
 * Those of `keys` (files below `root`) that bear the attribute; files that are gone bear none. Throws `unsupported` where the
 * filesystem has no such attribute or the programs are missing, `denied` where a file may not be opened.
 */
export async function readImmutable(
  root: string,
  keys: readonly string[],
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const immutable = new Set<string>();
  for (const some of batches(keys)) {
    const { stdout, stderr } = await run('lsattr', ['-d'], root, some, options);
    throwFirst(`could not read the attributes of files in ${root}`, stderr);
    for (const line of stdout.split('\n')) {
      const [, attributes = '', key = ''] = /^(\S+) +\.\/(.+)$/.exec(line) ?? [];
      if (attributes.includes('i')) immutable.add(key);
    }
  }
  return immutable;
}

/**
 * Sets the attribute on all of `keys` that are there, or takes it off. Throws `denied` without the right (root's, CAP_LINUX_IMMUTABLE),
 * `unsupported` as above; then some can have it already.
 */
export async function setImmutable(
  root: string,
  keys: readonly string[],
  on: boolean,
  options: CallOptions,
): Promise<void> {
  const what = on ? 'set the immutable attribute on' : 'take the immutable attribute off';
  for (const some of batches(keys)) {
    const { stderr } = await run('chattr', [on ? '+i' : '-i'], root, some, options);
    throwFirst(`could not ${what} files in ${root}`, stderr);
  }
}

function* batches(keys: readonly string[]): Generator<string[]> {
  let batch: string[] = [];
  let bytes = 0;
  for (const key of keys) {
    if (bytes + key.length > MOST_BYTES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(key);
    // The path, `./`, its end and its place among the arguments.
    bytes += key.length + 11;
  }
  if (batch.length > 0) yield batch;
}

function run(
  program: 'lsattr' | 'chattr',
  flags: string[],
  root: string,
  keys: string[],
  { signal }: CallOptions,
): Promise<{ stdout: string; stderr: string }> {
  // Relative names: whatever the root is called, an answer's line is one file's.
  const argv = [...flags, ...keys.map((key) => `./${key}`)];
  const settings = { cwd: root, env: ENVIRONMENT, maxBuffer: MOST_OUTPUT_BYTES, signal };
  return new Promise((resolve, reject) => {
    execFile(program, argv, settings, (error, stdout, stderr) => {
      // They end with 1 when any file failed; what failed is on stderr.
      if (error === null || typeof error.code === 'number') resolve({ stdout, stderr });
      else if (signal.aborted) reject(signal.reason as Error);
      else notRun(program, root, error).then(reject, reject);
    });
  });
}

/** A directory that is missing looks to Node like a program that is. */
async function notRun(program: string, root: string, error: Error): Promise<WalholdError> {
  if (systemCode(error) === 'ENOENT') await requireRoot(root);
  return new WalholdError('unsupported', `could not run ${program}`, {
    detail: reasonOf(error),
    hint: 'Install e2fsprogs, which brings chattr and lsattr.',
    cause: error,
  });
}

function throwFirst(what: string, stderr: string): void {
  const line = stderr.split('\n').find((one) => one !== '' && !one.includes('No such file or directory'));
  if (line === undefined) return;
  const about = { detail: line };
  if (/not permitted|ermission denied/.test(line)) {
    const hint = 'Only root, with CAP_LINUX_IMMUTABLE, may change this attribute.';
    throw new WalholdError('denied', what, { ...about, hint });
  }
  const hint = 'This filesystem has no immutable attribute; ext4, XFS and btrfs have.';
  throw new WalholdError('unsupported', what, { ...about, hint });
}
