import { join } from 'node:path';
import { serverProgram } from '../../scripts/test-servers.ts';
import { freePort } from './free-port.ts';
import { Place } from './place.ts';
import { plainEnvironment } from './run.ts';
import { ServerProcess } from './server-process.ts';
import { GiveUp, waitFor } from './wait-for.ts';

export interface GcsServer extends AsyncDisposable {
  endpoint: string;
  makeBucket(name: string, options?: { versioning?: boolean }): Promise<void>;
}

/**
 * Whether fake-gcs-server, which speaks Google's wire format and enforces next to nothing, is there. When not, tests that need it are
 * to be skipped, which is said once on stderr.
 *
 * @throws when it is not in CI, where skipping would hide what was never tested.
 */
export function hasGcsServer(): boolean {
  if (serverProgram('fake-gcs-server') !== undefined) return true;
  const reason = 'no fake-gcs-server to test against: scripts/test-servers.ts builds one';
  if (process.env['CI'] === 'true') throw new Error(reason);
  process.stderr.write(`skipped: ${reason}\n`);
  return false;
}

/** A server of this process's own, with everything in memory and no credentials. */
export async function startGcsServer(): Promise<GcsServer> {
  const program = serverProgram('fake-gcs-server');
  if (program === undefined)
    throw new Error('fake-gcs-server is not installed: scripts/test-servers.ts fake-gcs-server');
  const place = await Place.create('fake-gcs-server', 'current user');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const options = ['-backend', 'memory', '-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)];
  const argv = [program, ...options, '-data', await place.folder('data'), '-external-url', endpoint];
  const env = { ...plainEnvironment(), HOME: place.path };
  const server = new ServerProcess(place.owner, argv, env, join(place.path, 'server.log'));
  const killNow = (): void => server.killNow();
  process.once('exit', killNow);
  const probe = async (): Promise<boolean> => {
    if (server.ending !== undefined) throw new GiveUp(`fake-gcs-server ended with ${server.ending.status}`);
    return (await fetch(`${endpoint}/storage/v1/b`, { signal: AbortSignal.timeout(1_000) })).ok;
  };
  await waitFor(probe, { what: 'fake-gcs-server to answer', deadlineMs: 30_000 });
  return {
    endpoint,
    async makeBucket(name, { versioning = false } = {}) {
      const made = await fetch(`${endpoint}/storage/v1/b?project=test`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name, versioning: { enabled: versioning } }),
      });
      if (!made.ok) throw new Error(`could not make the bucket ${name}: ${made.status} ${await made.text()}`);
    },
    async [Symbol.asyncDispose]() {
      process.removeListener('exit', killNow);
      if (server.ending === undefined) await server.crash('everything');
      await place[Symbol.asyncDispose]();
    },
  };
}
