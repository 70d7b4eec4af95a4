import { reasonOf, WalholdError, type ErrorCode } from './errors.ts';

/** An error on its way between threads. */
export interface PlainError {
  code: ErrorCode | undefined;
  message: string;
  detail: string | undefined;
  hint: string | undefined;
}

/** An error as it can be posted to another thread. */
export function plainError(error: unknown): PlainError {
  if (!(error instanceof WalholdError)) {
    const stack = error instanceof Error ? error.stack : undefined;
    return { code: undefined, message: stack ?? reasonOf(error), detail: undefined, hint: undefined };
  }
  const { code, message, detail, hint } = error;
  return { code, message, detail, hint };
}

/** And back. */
export function thrownError({ code, message, detail, hint }: PlainError): Error {
  if (code === undefined) return new Error(message);
  return new WalholdError(code, message, {
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  });
}
