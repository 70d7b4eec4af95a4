// Installs the servers that the tests run against, compiled from their modules, into the test cache:
//   scripts/with-node scripts/test-servers.ts [versitygw] [fake-gcs-server] [minio]
// Without a name: all of them, since each is the only one for some tests. A server that is there already takes no time.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { testCache } from './embedded-postgres.ts';

/** The servers by the name of their program, and the modules they are built from. */
export const SERVERS = {
  versitygw: 'github.com/versity/versitygw/cmd/versitygw@v1.7.0',
  minio: 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c',
  'fake-gcs-server': 'github.com/fsouza/fake-gcs-server@v1.55.1',
} as const;

export type ServerName = keyof typeof SERVERS;
export type S3ServerName = Exclude<ServerName, 'fake-gcs-server'>;

const NEEDED = ['versitygw', 'minio', 'fake-gcs-server'] as const;

const BUILD_TIMEOUT_MS = 840_000;

/** The server's program, in the test cache or on PATH, or `undefined` when it is not installed. */
export function serverProgram(name: ServerName): string | undefined {
  const folders = [binFolder(), ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders.map((folder) => join(folder, name)).find((program) => existsSync(program));
}

/** @returns why it could not be installed, or `undefined` when it now is. */
function install(name: ServerName): string | undefined {
  if (serverProgram(name) !== undefined) return undefined;
  if (spawnSync('go', ['version']).status !== 0) return `${name} needs a Go tool chain to be built, and there is none`;
  mkdirSync(binFolder(), { recursive: true });
  process.stdout.write(`go install ${SERVERS[name]} (some minutes, once)\n`);
  const result = spawnSync('go', ['install', SERVERS[name]], {
    env: { ...process.env, GOBIN: binFolder(), CGO_ENABLED: '0' },
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: BUILD_TIMEOUT_MS,
  });
  return result.status === 0 ? undefined : `${name} could not be built (go install ${SERVERS[name]})`;
}

function binFolder(): string {
  return join(testCache(), 'bin');
}

function isServerName(word: string): word is ServerName {
  return word in SERVERS;
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  const names = words.length === 0 ? NEEDED : words.filter(isServerName);
  const problems = names.flatMap((name) => install(name) ?? []);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  // Elsewhere the tests that need one are skipped, and say so.
  if (problems.length > 0 && process.env['CI'] === 'true') process.exitCode = 1;
}
