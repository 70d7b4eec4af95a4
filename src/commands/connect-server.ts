import { existsSync } from 'node:fs';
import { serverAddress } from '../server/server-address.ts';
import { ServerSession } from '../server/session.ts';
import type { CommandContext } from './command-context.ts';

/** A session with the server that `-d` and the `PG*` variables name. Throws `server` or `usage`. */
export async function connectServer(
  context: Pick<CommandContext, 'environment' | 'log' | 'clock' | 'signal'>,
  connectionString: string | undefined,
): Promise<ServerSession> {
  const { environment, log, clock, signal } = context;
  const address = serverAddress({ connectionString, environment, exists: existsSync });
  return await ServerSession.connect(address, { log, clock, signal });
}
