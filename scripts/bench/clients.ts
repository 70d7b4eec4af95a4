import { join } from 'node:path';
import { debianClient } from '../debian-clients.ts';
import type { Cluster } from '../../test/support/cluster.ts';

/**
 * The words that run a client program of the server's major version; `undefined` when this machine has not got it. npm's servers have
 * none, but the library of Debian's: their own comes with many others.
 */
export async function clientProgram({ postgres }: Cluster, name: string): Promise<string[] | undefined> {
  if (postgres.hasClients) return [join(postgres.bin, name)];
  const words = await debianClient(postgres.major, name);
  return words?.map((word, index) => (index === 2 ? `${join(postgres.bin, '..', 'lib')}:${word}` : word));
}
