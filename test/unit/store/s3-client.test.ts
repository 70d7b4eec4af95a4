import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { s3Client, type S3ClientSettings } from '../../../src/store/s3-client.ts';

const settings: S3ClientSettings = { bucket: 'b', requestTimeoutMs: 1000 };
let home = '';

/** Nothing of this host's own settings may decide. */
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'walhold-s3-client-'));
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_CONFIG_FILE', join(home, 'config'));
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(home, 'credentials'));
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('HOME', home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

const region = async (more: Partial<S3ClientSettings> = {}): Promise<string> =>
  (await s3Client({ ...settings, ...more })).config.region();

describe('the region of a bucket', () => {
  it('is the setting, before the environment', async () => {
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    expect(await region({ region: 'eu-north-1' })).toBe('eu-north-1');
  });

  it('is what the SDK finds in the environment', async () => {
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    expect(await region({ endpoint: 'http://127.0.0.1:1' })).toBe('eu-west-1');
  });

  it('is what the SDK finds in the profile', async () => {
    await writeFile(join(home, 'config'), '[profile backup]\nregion = ap-south-1\n');
    expect(await region({ profile: 'backup' })).toBe('ap-south-1');
  });

  it('is us-east-1 where only an endpoint is set', async () => {
    expect(await region({ endpoint: 'http://127.0.0.1:1' })).toBe('us-east-1');
  });

  it('is asked for where nothing says it', async () => {
    await expect(region()).rejects.toMatchObject({
      code: 'config',
      hint: expect.stringContaining('s3_region') as string,
    });
  });
});

describe('the credentials for a bucket', () => {
  const found = async (more: Partial<S3ClientSettings> = {}): Promise<string> => {
    const client = await s3Client({ ...settings, region: 'eu-west-1', ...more });
    return (await client.config.credentials()).accessKeyId;
  };

  it('are those of the environment', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'from-env');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    expect(await found()).toBe('from-env');
  });

  it('are those of the profile that is set, whatever the environment has', async () => {
    const file = '[backup]\naws_access_key_id = from-profile\naws_secret_access_key = secret\n';
    await writeFile(join(home, 'credentials'), file);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'from-env');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    const silent = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    expect(await found({ profile: 'backup' })).toBe('from-profile');
    expect(silent).not.toHaveBeenCalled();
  });

  it('are asked for where there are none', async () => {
    const hint = expect.stringContaining('AWS_ACCESS_KEY_ID') as string;
    await expect(found()).rejects.toMatchObject({ code: 'config', hint });
    await expect(found({ profile: 'none' })).rejects.toMatchObject({ code: 'config', hint });
  });

  it('that were there and cannot be renewed are an outage, not a wrong configuration', async () => {
    let down = false;
    const credentials: NonNullable<S3ClientSettings['credentials']> = () => {
      if (down) return Promise.reject(Object.assign(new Error('no answer'), { name: 'CredentialsProviderError' }));
      // Run out at once, so that the next call asks again.
      const expiration = new Date(Date.now() - 1000);
      return Promise.resolve({ accessKeyId: 'first', secretAccessKey: 's', expiration });
    };
    const client = await s3Client({ ...settings, region: 'eu-west-1', credentials });
    expect((await client.config.credentials()).accessKeyId).toBe('first');
    down = true;
    await expect(client.config.credentials()).rejects.toMatchObject({ code: 'unreachable' });
  });
});

describe('a file of certificates', () => {
  it.each([
    ['missing', undefined],
    ['empty', ''],
    ['something else', 'hello'],
    ['broken', '-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n'],
  ])('that is %s is wrong configuration', async (_, content) => {
    const caFile = join(home, 'ca.pem');
    if (content !== undefined) await writeFile(caFile, content);
    const made = s3Client({ ...settings, region: 'eu-west-1', caFile });
    await expect(made).rejects.toMatchObject({ code: 'config', message: expect.stringContaining(caFile) as string });
  });
});
