import { hasCode, WalholdError, type ErrorCode } from '../base/errors.ts';

/**
 * What `verify` finds wrong. `missing-segment`, `missing-history`: a name that is needed and not there. `missing-object`: a backup
 * names it. `wrong-size`: a listing shows another size than the backup's record. `misfit`: sound bytes that are not what the name, the
 * record or the manifest says. `extra-version`, `delete-marker`: somebody else's trace beside an object, whatever became of the object
 * itself. `bad-record`: a sound WAL object whose records are not what a server wrote, or do not follow those before. `broken-chain`: what an incremental backup builds on is not there or does not fit. The others are codes of errors: `damaged`, `bad-format`, `identity`, `store-gone`, `unreachable`, …
 */
export type ProblemCode =
  | 'missing-segment'
  | 'missing-history'
  | 'missing-object'
  | 'wrong-size'
  | 'misfit'
  | 'manifest-mismatch'
  | 'extra-version'
  | 'delete-marker'
  | 'bad-record'
  | 'broken-chain'
  | ErrorCode;

export interface Problem {
  code: ProblemCode;
  /** The object's key; for a missing segment or history file its name. */
  object: string;
  message: string;
}

/** The problem that an error stands for. Throws what is no finding: a program's mistake, an interruption. */
export function problemOf(error: unknown, object: string): Problem {
  if (!(error instanceof WalholdError) || error.code === 'interrupted' || error.code === 'deadline') throw error;
  const message = error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
  return { code: error.code, object, message };
}

/** Whether an error speaks of one object alone: then the rest is worth reading. */
export function concernsOneObject(error: unknown): boolean {
  return hasCode(error, 'damaged', 'bad-format', 'unsupported');
}
