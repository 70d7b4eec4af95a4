import type { WalholdError } from '../base/errors.ts';
import type { Spool } from './spool.ts';

/** The last thing that went wrong in a push or a fetch, until one goes right. For `status`. */
export interface LastError {
  /** Milliseconds since 1970. */
  at: number;
  /** The WAL file. */
  file: string;
  code: string;
  message: string;
  detail: string | undefined;
}

export type Hook = 'push' | 'fetch';

export async function noteError(
  spool: Spool,
  hook: Hook,
  file: string,
  error: WalholdError,
  at: number,
): Promise<void> {
  const { code, message, detail } = error;
  await spool.write(`${hook}-error`, { at, file, code, message, detail: detail?.slice(0, 2000) });
}

export async function clearError(spool: Spool, hook: Hook): Promise<void> {
  await spool.remove(`${hook}-error`);
}

/** `undefined`: nothing went wrong since the last success. */
export async function readError(spool: Spool, hook: Hook): Promise<LastError | undefined> {
  const note = await spool.read(`${hook}-error`);
  if (typeof note?.['at'] !== 'number') return undefined;
  const text = (name: string): string => (typeof note[name] === 'string' ? note[name] : '');
  return {
    at: note['at'],
    file: text('file'),
    code: text('code'),
    message: text('message'),
    detail: typeof note['detail'] === 'string' ? note['detail'] : undefined,
  };
}
