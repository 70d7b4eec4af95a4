import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SILENT } from '../../src/base/log.ts';
import { connectServer } from '../../src/commands/connect-server.ts';
import type { ServerSession } from '../../src/server/session.ts';
import { Cluster } from '../support/cluster.ts';
import { freePort } from '../support/free-port.ts';

const noOpenssl = spawnSync('openssl', ['version']).status !== 0;
if (noOpenssl)
  process.stderr.write('skipped: sessions over TLS: openssl, which makes the certificate, is not installed\n');

describe.skipIf(noOpenssl)('a session with a server that has a certificate', () => {
  let cluster: Cluster;
  let port = 0;
  let certificate = '';

  beforeAll(async () => {
    cluster = await Cluster.create({ name: 'tls' });
    port = await freePort();
    const subject = ['-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    certificate = join(cluster.dataDir, 'server.crt');
    const files = ['-out', certificate, '-keyout', join(cluster.dataDir, 'server.key')];
    await cluster.runOk(['openssl', 'req', '-new', '-x509', ...subject, ...files]);
    await cluster.configure({ ssl: true, password_encryption: 'scram-sha-256' });
    await cluster.start();
    await cluster.query(`create role guarded login password 's3:cret'`);
    await cluster.stop();
    const rules = '1i hostssl all guarded 127.0.0.1/32 scram-sha-256\\nhostnossl all guarded 127.0.0.1/32 reject';
    await cluster.runOk(['sed', '-i', rules, join(cluster.dataDir, 'pg_hba.conf')]);
    const options = `-c listen_addresses=127.0.0.1 -p ${port} -k ${cluster.socketDir}`;
    await cluster.runOk([
      join(cluster.postgres.bin, 'pg_ctl'),
      'start',
      '-w',
      '-D',
      cluster.dataDir,
      '-l',
      cluster.logFile,
      '-o',
      options,
    ]);
  });
  afterAll(async () => {
    await cluster?.run([join(cluster.postgres.bin, 'pg_ctl'), 'stop', '-m', 'immediate', '-D', cluster.dataDir]);
    await cluster?.[Symbol.asyncDispose]();
  });

  const connect = (words: string, environment: Record<string, string> = {}): Promise<ServerSession> => {
    const { signal } = new AbortController();
    return connectServer({ environment, log: SILENT, clock: systemClock, signal }, `port=${port} ${words}`);
  };
  const isEncrypted = async (session: ServerSession): Promise<unknown> => {
    await using open = session;
    return (await open.row('look', 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'))['ssl'];
  };

  test.each([
    ['host=127.0.0.1 user=postgres', true],
    ['host=127.0.0.1 user=postgres sslmode=allow', false],
    ['host=127.0.0.1 user=postgres sslmode=disable', false],
    ['host=127.0.0.1 user=postgres sslmode=require', true],
  ])('by "%s" is encrypted: %s', async (words, expected) => {
    expect(await isEncrypted(await connect(words))).toBe(expected);
  });

  test('is verified where that is asked for', async () => {
    const root = `user=postgres sslrootcert=${certificate}`;
    expect(await isEncrypted(await connect(`host=localhost sslmode=verify-full ${root}`))).toBe(true);
    expect(await isEncrypted(await connect(`host=127.0.0.1 sslmode=verify-ca ${root}`))).toBe(true);
    await expect(connect(`host=127.0.0.1 sslmode=verify-full ${root}`)).rejects.toMatchObject({
      code: 'server',
      detail: expect.stringContaining('does not match') as string,
    });
    await expect(connect('host=localhost sslmode=verify-ca user=postgres')).rejects.toMatchObject({
      detail: expect.stringContaining('self-signed') as string,
    });
  });

  test('takes its password from the string, the environment or a file, and says when there is none', async () => {
    const words = 'host=127.0.0.1 user=guarded dbname=postgres';
    const file = await cluster.place.file('pgpass', `127.0.0.1:${port}:postgres:guarded:s3\\:cret\n`);
    expect(await isEncrypted(await connect(`${words} password='s3:cret'`))).toBe(true);
    expect(await isEncrypted(await connect(words, { PGPASSWORD: 's3:cret' }))).toBe(true);
    expect(await isEncrypted(await connect(words, { PGPASSFILE: file }))).toBe(true);
    await expect(connect(`${words} sslmode=require`)).rejects.toMatchObject({
      code: 'server',
      message: `the server at 127.0.0.1, port ${port} asks for a password for guarded, and there is none`,
    });
    await expect(connect(`${words} sslmode=require password=wrong`)).rejects.toMatchObject({
      detail: 'password authentication failed for user "guarded"',
    });
  });

  test('goes on to the next host when one does not answer', async () => {
    await using session = await connect('host=/nonexistent,127.0.0.1 user=postgres');
    expect(session.where).toBe(`the server at 127.0.0.1, port ${port}`);
  });

  test('tells what was attempted, and what the server said to it', async () => {
    await using session = await connect('host=127.0.0.1 user=postgres');
    await expect(session.rows('do nonsense', 'select nonsense')).rejects.toMatchObject({
      code: 'server',
      message: `could not do nonsense on the server at 127.0.0.1, port ${port}`,
      detail: 'column "nonsense" does not exist',
    });
    expect(await session.row('go on', 'select 1 as one')).toEqual({ one: 1 });
  });

  test('says what gives a user the right that it lacks', async () => {
    await using superuser = await connect('host=127.0.0.1 user=postgres');
    await superuser.rows('make a role', `create role "a ""watcher" login`);
    await using session = await connect(`host=127.0.0.1 user='a "watcher'`);
    const ask = async (): Promise<unknown> => await session.rows('switch', 'select pg_switch_wal()');
    const refusal = await ask().catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'server', detail: 'permission denied for function pg_switch_wal' });
    const [, grant = ''] = /: (grant .*)$/.exec(String((refusal as { hint?: string }).hint)) ?? [];
    expect(grant).toContain('pg_switch_wal');
    await superuser.rows('do as the hint says', grant);
    await expect(ask()).resolves.toHaveLength(1);
    await expect(session.rows('look', 'select * from pg_authid')).rejects.toMatchObject({
      hint: 'Connect as a superuser, or as a member of pg_monitor.',
    });
  });
});
