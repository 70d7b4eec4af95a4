import type { Spool } from './spool.ts';

const NAME = 'worker';

/** What a worker says of itself, now and then. For `status`. */
export interface WorkerState {
  pid: number;
  /** Milliseconds since 1970. */
  since: number;
  /** When it said so. */
  at: number;
  roles: readonly RoleState[];
}

export interface RoleState {
  role: 'push' | 'fetch';
  state: string;
  /** Files. */
  inFlight: number;
  done: number;
  lastError: { at: number; file: string; message: string } | null;
}

export async function noteWorkerState(spool: Spool, state: WorkerState): Promise<void> {
  await spool.write(NAME, { ...state });
}

export async function clearWorkerState(spool: Spool): Promise<void> {
  await spool.remove(NAME);
}

/** What the last worker said, alive or not. `undefined`: nothing. */
export async function readWorkerState(spool: Spool): Promise<WorkerState | undefined> {
  const note = await spool.read(NAME);
  if (typeof note?.['pid'] !== 'number' || typeof note['since'] !== 'number' || !Array.isArray(note['roles'])) {
    return undefined;
  }
  return note as unknown as WorkerState;
}
