import { describe, expect, it } from 'vitest';
import { credentialVariables, restoreCommandLine } from '../../../../src/commands/restore/restore-command-line.ts';
import type { EffectiveSetting } from '../../../../src/config/config.ts';

const FLAG = { kind: 'flag', flag: '--x' } as const;
const ENVIRONMENT = { kind: 'environment', variable: 'X' } as const;
const FILE = { kind: 'file', file: '/etc/walhold.conf', line: 1 } as const;
const DEFAULT = { kind: 'default' } as const;

function line(
  settings: EffectiveSetting[],
  more: { configFile?: string; useRepo?: string; asOf?: string; allowGap?: string } = {},
): string {
  const { configFile, useRepo, asOf, allowGap } = more;
  const fetch = '/opt/walhold/bin/walhold-fetch';
  return restoreCommandLine({ fetch, configFile, settings, useRepo, asOf, allowGap });
}

describe('the restore_command that is written', () => {
  it('passes on what came from flags and the environment, and nothing that the file says', () => {
    const settings: EffectiveSetting[] = [
      { name: 'repo', value: 's3://bucket/prefix', source: FLAG },
      { name: 's3_region', value: 'eu-central-1', source: ENVIRONMENT },
      { name: 'repo2_s3_endpoint', value: 'https://x:9000', source: FLAG },
      { name: 'gap_grace', value: '5s', source: FILE },
      { name: 'push_ahead', value: '1GB', source: DEFAULT },
      { name: 's3_profile', value: undefined, source: DEFAULT },
    ];
    expect(line(settings, { configFile: '/etc/walhold.conf' })).toBe(
      '/opt/walhold/bin/walhold-fetch --config /etc/walhold.conf --repo s3://bucket/prefix --s3-region eu-central-1 --repo2-s3-endpoint https://x:9000 %f %p',
    );
  });

  it('does not pass on what is for the restore alone', () => {
    expect(
      line([
        { name: 'jobs', value: '8', source: FLAG },
        { name: 'allow_gap', value: 'x', source: ENVIRONMENT },
      ]),
    ).toBe('/opt/walhold/bin/walhold-fetch %f %p');
  });

  it('reads one repository alone, and lets WAL end where it was told', () => {
    expect(line([], { useRepo: '2', allowGap: '000000010000000000000005' })).toBe(
      '/opt/walhold/bin/walhold-fetch --use-repo 2 --allow-gap 000000010000000000000005 %f %p',
    );
  });

  it('reads the repositories as they were', () => {
    expect(line([], { asOf: '2026-11-22 17:45:00.000000+01:00' })).toBe(
      `/opt/walhold/bin/walhold-fetch --as-of '2026-11-22 17:45:00.000000+01:00' %f %p`,
    );
  });

  it('survives a shell and the server', () => {
    expect(line([], { configFile: "/etc/it's 100%/a b.conf" })).toBe(
      `/opt/walhold/bin/walhold-fetch --config '/etc/it'\\''s 100%%/a b.conf' %f %p`,
    );
  });

  it('names the variables that it never holds', () => {
    const environment = { AWS_SECRET_ACCESS_KEY: 'secret', AWS_ACCESS_KEY_ID: 'key', AWS_PROFILE: '', HOME: '/root' };
    expect(credentialVariables(environment)).toEqual(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']);
  });
});
