import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { WalholdError } from '../../src/base/errors.ts';
import { gcsAuthorization } from '../../src/store/gcs-credentials.ts';
import { fakeGcsWithStores } from '../support/fake-gcs-store.ts';
import { FakeGoogleTokens } from '../support/fake-google-tokens.ts';

const { signal } = new AbortController();
const url = new URL('https://storage.googleapis.com/storage/v1/b/b/o');
let home = '';
let tokens: FakeGoogleTokens;

/** Nothing of this host's own settings may decide, and no metadata server may be asked. */
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'walhold-gcs-'));
  tokens = await FakeGoogleTokens.start();
  for (const name of Object.keys(process.env))
    if (/^(GOOGLE|GCE|GCLOUD|CLOUDSDK)/.test(name)) vi.stubEnv(name, undefined);
  vi.stubEnv('METADATA_SERVER_DETECTION', 'none');
  vi.stubEnv('CLOUDSDK_CONFIG', home);
  vi.stubEnv('HOME', home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await tokens[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

async function fails(settings: { endpoint?: string; keyFile?: string }): Promise<WalholdError> {
  return gcsAuthorization(settings)
    .headers(url)
    .then(
      () => {
        throw new Error('it did not fail');
      },
      (error: unknown) => error as WalholdError,
    );
}

describe('the credentials for GCS', () => {
  it('are those of the key file, asked for once', async () => {
    const keyFile = await tokens.keyFile(home, 'a-token');
    const authorization = gcsAuthorization({ keyFile });
    for (let times = 0; times < 3; times += 1) {
      expect(await authorization.headers(url)).toMatchObject({ authorization: 'Bearer a-token' });
    }
    expect(tokens.asked).toBe(1);
    authorization.forget();
    await authorization.headers(url);
    expect(tokens.asked).toBe(2);
  });

  it('are application default credentials without one, also at an endpoint of its own', async () => {
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', await tokens.keyFile(home, 'default'));
    for (const settings of [{}, { endpoint: 'https://storage.example:4443' }]) {
      expect(await gcsAuthorization(settings).headers(url)).toMatchObject({ authorization: 'Bearer default' });
    }
  });

  it('are got without a word on the log', async () => {
    const warned = vi.spyOn(console, 'warn');
    await gcsAuthorization({ keyFile: await tokens.keyFile(home, 'a-token') }).headers(url);
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', await tokens.keyFile(home, 'default'));
    await gcsAuthorization({}).headers(url);
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  it('that are the default and no JSON are the configuration, and nothing of it is shown', async () => {
    await writeFile(join(home, 'default.json'), '{"private_key": "SECRET');
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', join(home, 'default.json'));
    const error = await fails({});
    expect(error).toMatchObject({ code: 'config' });
    expect(JSON.stringify([error.message, error.detail, error.hint, String(error.cause)])).not.toContain('SECRET');
  });

  it('are none where the endpoint is plain HTTP, whatever the host has', async () => {
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', await tokens.keyFile(home, 'default'));
    expect(await gcsAuthorization({ endpoint: 'http://127.0.0.1:4443' }).headers(url)).toEqual({});
    expect(await gcsAuthorization({ endpoint: 'http://gcs.example' }).headers(url)).toEqual({});
    expect(tokens.asked).toBe(0);
  });

  it('may not travel in the clear, but on this host', async () => {
    const keyFile = await tokens.keyFile(home, 'a-token');
    expect(() => gcsAuthorization({ endpoint: 'http://gcs.example', keyFile })).toThrow(/plain HTTP/);
    for (const endpoint of ['http://127.0.0.1:1', 'http://localhost:1', 'http://[::1]:1']) {
      expect(await gcsAuthorization({ endpoint, keyFile }).headers(url)).toMatchObject({
        authorization: 'Bearer a-token',
      });
    }
  });

  it('that are nowhere are the configuration, with a hint', async () => {
    expect(await fails({})).toMatchObject({
      code: 'config',
      message: 'there are no credentials for Google Cloud Storage',
      hint: expect.stringContaining('gcs_key_file') as string,
    });
  });

  it.each([
    ['is missing', undefined, /ENOENT/],
    ['is no JSON', '{"private_key": "SECRET', /is no JSON$/],
    ['is empty', '', /is no JSON$/],
    ['is a list', '[1]', /./],
    ['is null', 'null', /is no JSON/],
    ['is of something else', '{"hello": "SECRET"}', /./],
  ])('from a key file that %s are the configuration, and nothing of it is shown', async (_, content, detail) => {
    const keyFile = join(home, 'key.json');
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', await tokens.keyFile(home, 'another'));
    if (content !== undefined) await writeFile(keyFile, content);
    const error = await fails({ keyFile });
    expect(error).toMatchObject({ code: 'config', message: `could not use gcs_key_file ${keyFile}` });
    expect(error.detail).toMatch(detail);
    expect(JSON.stringify([error.message, error.detail, error.hint, String(error.cause)])).not.toContain('SECRET');
  });

  it('that are not taken are denied, and an outage of the tokens is one', async () => {
    const keyFile = await tokens.keyFile(home, 'a-token');
    tokens.status = 400;
    expect(await fails({ keyFile })).toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('clock') as string,
    });
    tokens.status = 503;
    expect(await fails({ keyFile })).toMatchObject({ code: 'unreachable' });
    await tokens[Symbol.asyncDispose]();
    expect(await fails({ keyFile })).toMatchObject({ code: 'unreachable' });
    tokens = await FakeGoogleTokens.start();
  });

  it('are sent with every request, and got anew after the store has refused them', async () => {
    const rights = { right: ['objects.get', 'objects.list'] } as const;
    await using at = await fakeGcsWithStores({ tokens: rights });
    at.bucket.add('repo/k', Buffer.from('x'));
    const store = at.store({ keyFile: await tokens.keyFile(home, 'right') });
    expect(await store.stat('k', { signal })).toMatchObject({ bytes: 1 });
    expect(at.fake.seen.map(({ headers }) => headers['authorization'])).toEqual(['Bearer right']);
    Object.assign(at.fake.options, { tokens: {} });
    await expect(store.stat('k', { signal })).rejects.toMatchObject({ code: 'denied' });
    Object.assign(at.fake.options, { tokens: rights });
    expect(await store.stat('k', { signal })).toMatchObject({ bytes: 1 });
    expect(tokens.asked).toBe(2);
  });

  it('are given up on in the time of one request', async () => {
    const keyFile = await tokens.keyFile(home, 'a-token');
    await using at = await fakeGcsWithStores({ requestTimeoutMs: 50 });
    const stuck = { headers: () => new Promise<never>(() => undefined), forget() {} };
    await expect(at.store({ keyFile, authorization: stuck }).stat('k', { signal })).rejects.toMatchObject({
      code: 'unreachable',
    });
  });
});
