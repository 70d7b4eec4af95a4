/**
 * What can go wrong, by what the operator can do about it. Exit statuses are decided from these in `cli/exit.ts`, retries in
 * `store/retry.ts`, both by code alone.
 *
 * - `usage`, `config`, `unsupported`: the call or the settings are wrong; nothing was tried.
 * - `unreachable`: a store did not answer, or answered "later" (time-outs, refused connections, 5xx, throttling). Worth repeating.
 * - `upload-lost`: a store has dropped what it was sent of a stream, and holds nothing of it: only the whole can be sent again.
 * - `denied`: a store answered that these credentials may not.
 * - `store-rejected`: a store answered with a refusal that repeating cannot mend (no such bucket, wrong region, bad request).
 * - `store-gone`: the repository's directory or its identity is missing: neither empty nor absent.
 * - `identity`: the repository belongs to another cluster.
 * - `conflict`: the name is taken by other content.
 * - `damaged`: what was read fails its own checks.
 * - `unlocked`: the object is stored, or could be, but not with the lock that was asked for.
 * - `hole`, `stray-timeline`: WAL goes on beyond what is missing; the end of WAL must not be assumed.
 * - `bad-wal-name`, `bad-wal-header`, `bad-format`: input that is not what it claims to be.
 * - `not-found`: something the operator named does not exist.
 * - `refused`: walhold will not do this here (a directory that is not empty, a running server).
 * - `server`: PostgreSQL could not be asked, or is in no state for this.
 * - `io`: the local machine failed (disk full, permissions).
 * - `deadline`: the time allowed for the whole call is over.
 * - `interrupted`: told to stop by a signal.
 */
export type ErrorCode =
  | 'usage'
  | 'config'
  | 'unsupported'
  | 'unreachable'
  | 'upload-lost'
  | 'denied'
  | 'store-rejected'
  | 'store-gone'
  | 'identity'
  | 'conflict'
  | 'damaged'
  | 'unlocked'
  | 'hole'
  | 'stray-timeline'
  | 'bad-wal-name'
  | 'bad-wal-header'
  | 'bad-format'
  | 'not-found'
  | 'refused'
  | 'server'
  | 'io'
  | 'deadline'
  | 'interrupted';

/**
 * The one error class. `message`: what was attempted on which object, lower case, no full stop. `detail`: what was found.
 * `hint`: one sentence on what the operator can do.
 */
export class WalholdError extends Error {
  override readonly name: string = 'WalholdError';
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; detail?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail;
    this.hint = options.hint;
  }
}

/** Whether `error` is ours and carries one of `codes`. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is WalholdError {
  return error instanceof WalholdError && codes.includes(error.code);
}

/** The innermost plain reason of any thrown value, for a detail line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a Node system error (`ENOENT`, `ENOSPC`, …), if it has one. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Wraps a local file system failure once, where it enters. */
export function ioError(what: string, error: unknown): WalholdError {
  if (error instanceof WalholdError) return error;
  const code = systemCode(error);
  const hint = code === undefined ? undefined : IO_HINTS[code];
  return new WalholdError('io', what, {
    detail: reasonOf(error),
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

const IO_HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'Free space on that filesystem; nothing was lost.',
  EDQUOT: 'Raise the quota or free space; nothing was lost.',
  EACCES: 'Let the user that runs this command read and write there.',
  EPERM: 'Let the user that runs this command read and write there.',
  EROFS: 'The filesystem is mounted read-only; remount it or choose another place.',
};
