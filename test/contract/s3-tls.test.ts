import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeWithStores, type FakeWithStores } from '../support/fake-s3-store.ts';

const { signal } = new AbortController();
const noOpenssl = spawnSync('openssl', ['version']).status !== 0;
if (noOpenssl) process.stderr.write('skipped: S3 over TLS: openssl, which makes the certificates, is not installed\n');

/** A self-signed certificate, which is its own authority. */
function certify(place: string, name: string, subject: string): void {
  const files = ['-keyout', join(place, `${name}.key`), '-out', join(place, `${name}.pem`)];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=walhold test', '-addext', `subjectAltName=${subject}`];
  const made = spawnSync('openssl', ['req', '-x509', ...kind, ...files, ...names]);
  if (made.status !== 0) throw new Error(made.stderr.toString());
}

describe.skipIf(noOpenssl)('an S3 server with a certificate of its own', () => {
  let place = '';
  let at: FakeWithStores | undefined;
  const started = (): FakeWithStores => {
    if (at === undefined) throw new Error('the fake was not started');
    return at;
  };

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'walhold-tls-'));
    certify(place, 'server', 'IP:127.0.0.1');
    certify(place, 'other', 'IP:127.0.0.1');
    const key = await readFile(join(place, 'server.key'), 'utf8');
    at = await fakeWithStores({ tls: { key, cert: await readFile(join(place, 'server.pem'), 'utf8') } });
  });
  afterAll(async () => {
    await at?.[Symbol.asyncDispose]();
    await rm(place, { recursive: true });
  });

  it('is reached with s3_ca_file', async () => {
    const store = await started().store({ caFile: join(place, 'server.pem') });
    const body = { kind: 'buffer' as const, bytes: Buffer.from('x') };
    expect(await store.create('k', body, { signal })).toBe('created');
    expect(await store.stat('k', { signal })).toMatchObject({ bytes: 1 });
  });

  it.each([
    ['without s3_ca_file', undefined],
    ['with that of another authority', 'other.pem'],
  ])('is not trusted %s, and the hint says what to set', async (_, name) => {
    const store = await started().store(name === undefined ? {} : { caFile: join(place, name) });
    await expect(store.stat('k', { signal })).rejects.toMatchObject({
      code: 'unreachable',
      hint: expect.stringContaining('s3_ca_file') as string,
    });
  });

  it('is not spoken to without TLS', async () => {
    const store = await started().store({ endpoint: started().fake.endpoint.replace('https', 'http') });
    await expect(store.stat('k', { signal })).rejects.toMatchObject({ code: 'unreachable' });
  });
});
