import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { splitArguments } from '../../../src/config/arguments.ts';
import type { Config } from '../../../src/config/config.ts';
import { loadConfig, type Loaded } from '../../../src/config/load.ts';

function load(file: string | undefined, argv: string[] = [], environment: Record<string, string> = {}): Loaded {
  return loadConfig({
    arguments: splitArguments(argv),
    environment,
    readFile(path) {
      if (path === '/etc/walhold/walhold.conf' && file !== undefined) return file;
      throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' });
    },
  });
}

function sourceOf(config: Config, name: string): string | undefined {
  return config.effective.find((one) => one.name === name)?.source.kind;
}

describe('settings', () => {
  it('come from flag, environment, file and default, in that order', () => {
    const file = "repo = 'file:///a'\njobs = 3\nrequest_timeout = 2min\ncompress_level = 7";
    const { config } = load(file, ['--jobs', '5'], { WALHOLD_JOBS: '4', WALHOLD_COMPRESS_LEVEL: '-3' });
    expect([config.jobs, config.compressLevel, config.requestTimeoutMs, config.gapGraceMs]).toEqual([
      5, -3, 120_000, 10_000,
    ]);
    expect(['jobs', 'compress_level', 'repo', 'gap_grace'].map((name) => sourceOf(config, name))).toEqual([
      'flag',
      'environment',
      'file',
      'default',
    ]);
  });

  it('of a later repository are its own and never inherited', () => {
    const file = "repo = 's3://aaa/x'\ns3_region = 'r1'\nrepo3 = 's3://bbb'\nrepo3_s3_endpoint = 'http://127.0.0.1:9'";
    const { config } = load(file);
    expect(config.repositories.map((one) => [one.number, one.store])).toEqual([
      [1, { scheme: 's3', bucket: 'aaa', prefix: 'x', region: 'r1', pathStyle: false }],
      [3, { scheme: 's3', bucket: 'bbb', prefix: '', endpoint: 'http://127.0.0.1:9', pathStyle: false }],
    ]);
  });

  it('say what is locked and kept, each repository for itself', () => {
    const file =
      "repo = 'file:///a'\nlock_mode = governance\nlock_period = 8d\nretention_window = 7d\nrepo2 = 'gs://bbb/x'\n" +
      "repo2_gcs_endpoint = 'http://127.0.0.1:9'\nrepo2_retention_full = 5";
    const [first, second] = load(file).config.repositories;
    const day = 86_400_000;
    expect(first.lock).toEqual({ mode: 'governance', periodMs: 8 * day, maxMs: 365 * day });
    expect(first.retention).toEqual({ windowMs: 7 * day, fullBackups: 2 });
    expect(second).toMatchObject({ lock: undefined, retention: { windowMs: 0, fullBackups: 5 } });
    expect(second?.store).toEqual({ scheme: 'gs', bucket: 'bbb', prefix: 'x', endpoint: 'http://127.0.0.1:9' });
  });

  it('let a flag name a directory in place of a bucket with locks of its own', () => {
    const file = "repo = 's3://bbb'\ns3_region = 'x'\nlock_mode = bucket\nlock_period = 7d";
    expect(load(file, ['--repo', 'file:///a']).config.repositories[0].lock).toMatchObject({ mode: 'bucket' });
  });

  it('of another kind of store stand idle, so that a flag can name a directory in place of a bucket', () => {
    const { config } = load("repo = 's3://bbb'\ns3_region = 'x'\ns3_path_style = on", ['--repo', 'file:///a']);
    expect(config.repositories[0].store).toEqual({ scheme: 'file', path: '/a' });
  });

  it('name directories as they are called, or as URLs write them', () => {
    const { config } = load("repo = 'file:///a b/c'\nrepo2 = 'file:///a%20b/d%25'");
    expect(config.repositories.map(({ store }) => store)).toEqual([
      { scheme: 'file', path: '/a b/c' },
      { scheme: 'file', path: '/a b/d%' },
    ]);
  });

  it('may stand before or after a sub-command, which keeps its own words', () => {
    const split = splitArguments([
      '--repo',
      'file:///r',
      'list',
      '--json',
      '--jobs=2',
      '--config',
      '/c',
      '--',
      '--jobs',
      '1',
    ]);
    expect(split.rest).toEqual(['list', '--json', '--', '--jobs', '1']);
    expect([...split.flags, split.configFile]).toEqual([['repo', 'file:///r'], ['jobs', '2'], '/c']);
    expect([...splitArguments(['-j4', '-j', '5'], { '-j': 'jobs' }).flags]).toEqual([['jobs', '5']]);
  });

  it('that nobody knows are one warning when they are variables', () => {
    const { warnings } = load("repo = 'file:///a'", [], {
      WALHOLD_NO: '1',
      WALHOLD_AY: '2',
      WALHOLD_TEST_X: '3',
      OTHER: '4',
    });
    expect(warnings).toEqual(['unknown environment variables are ignored: WALHOLD_AY, WALHOLD_NO']);
  });

  it('of features to come are accepted where they only tune, or ask for nothing', () => {
    const file = "repo='file:///a'\npush_ahead=2GB\nfetch_ahead=1GB\nworker_idle=0\nlock_mode=none";
    expect(load(file).config.pushAheadBytes).toBe(2 * 1024 ** 3);
  });
});

describe('a wrong setting is one error that names its place', () => {
  const good = "repo = 'file:///a'\n";
  const table: [string, string | undefined, string[], Record<string, string>, RegExp][] = [
    ['no repository', undefined, [], {}, /no repository is configured/],
    [
      'an unknown name in the file',
      `${good}reqest_timeout = 3s`,
      [],
      {},
      /walhold\.conf, line 2: unknown setting "reqest_timeout".*request_timeout/,
    ],
    ['a line that is no setting', `${good}= 3`, [], {}, /line 2: syntax error/],
    ['a bad unit', `${good}gap_grace = '3 weeks'`, [], {}, /line 2: bad value for gap_grace.*weeks/],
    ['a value out of range', good, ['--jobs', '0'], {}, /option --jobs: bad value for jobs.*less than/],
    ['a bad variable', good, [], { WALHOLD_JOBS: 'x' }, /environment variable WALHOLD_JOBS: bad value/],
    ['a bad choice', `${good}on_unreachable = 'hope'`, [], {}, /not one of auto, stop, absent/],
    ['an include', `${good}include = 'x'`, [], {}, /line 2: include is not possible/],
    ['a lock without a period', `${good}lock_mode = 'compliance'`, [], {}, /lock_mode = compliance needs lock_period/],
    [
      'a lock that ends before the window',
      `${good}lock_mode = compliance\nlock_period = 7d\nretention_window = 8d`,
      [],
      {},
      /lock_period is shorter than retention_window/,
    ],
    [
      'a lock beyond the longest',
      `${good}lock_mode = governance\nlock_period = 400d`,
      [],
      {},
      /lock_period is longer than lock_max/,
    ],
    [
      "a bucket's lock of a directory",
      `${good}lock_mode = bucket\nlock_period = 7d`,
      [],
      {},
      /lock_mode = bucket needs a bucket/,
    ],
    ['encryption', `${good}age_recipients = 'age1x'`, [], {}, /age_recipients is not supported by this version/],
    [
      'a file that lies nowhere in particular',
      `${good}metrics_file = 'm'`,
      [],
      {},
      /metrics_file.*"m" is not absolute/,
    ],
    ['a gap that is no file', `${good}allow_gap = on`, [], {}, /line 2: bad value for allow_gap.*no name of a segment/],
    ['a relative path', "repo = 'file://a/b'", [], {}, /must be absolute/],
    ['a space in a bucket or prefix', "repo = 's3://bbb/a b'", [], {}, /unusual characters/],
    ['a line break in a path', good, ['--repo', 'file:///a\nb'], {}, /control character/],
    ['the root directory', "repo = 'file:///'", [], {}, /root directory/],
    ['a path that climbs', "repo = 'file:///a/../b'", [], {}, /"\."/],
    ['another scheme', "repo = 'ftp://a/b'", [], {}, /no "ftp" repositories/],
    ['no scheme', "repo = '/a'", [], {}, /does not begin with/],
    ['credentials in a URL', "repo = 's3://key:secret@b/p'", [], {}, /holds credentials/],
    ['an endpoint with credentials', "repo = 's3://bbb'\ns3_endpoint='http://u:p@h'", [], {}, /holds credentials/],
    ['an endpoint that is no URL', "repo = 's3://bbb'\ns3_endpoint='h:9000'", [], {}, /no http or https URL/],
    [
      'settings of a repository that is not there',
      `${good}repo2_s3_region = 'x'`,
      [],
      {},
      /repo2_s3_region is set, but repo2 is not/,
    ],
    ['the same place twice', `${good}repo2 = 'file:///a/'`, [], {}, /same place/],
    [
      'a configuration file that is named and missing',
      good,
      ['--config', '/nowhere'],
      {},
      /could not read .*\/nowhere/,
    ],
    ['a relative CA file', "repo='s3://bbb'\ns3_ca_file='ca.pem'", [], {}, /not an absolute path/],
  ];
  it.each(table)('%s', (_, file, argv, environment, expected) => {
    let caught: unknown;
    try {
      load(file, argv, environment);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(WalholdError);
    const error = caught as WalholdError;
    expect(['config', 'unsupported']).toContain(error.code);
    expect(error.hint).toBeTruthy();
    expect(`${error.message} ${error.detail} ${error.hint}`).toMatch(expected);
  });

  it('a flag without its value is wrong usage', () => {
    expect(() => splitArguments(['list', '--repo'])).toThrow(/--repo needs a value/);
  });
});
