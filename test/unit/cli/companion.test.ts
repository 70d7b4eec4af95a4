import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { VERSION } from '../../../src/base/version.ts';
import { callCompanion } from '../../support/companion-call.ts';
import { run } from '../../support/run.ts';

const COMMANDS = [
  ...['backup', 'restore', 'list', 'check', 'status', 'verify', 'drill', 'wal', 'repo', 'config', 'completion'].map(
    (name) => [name],
  ),
  ...['list', 'inspect', 'push', 'resolve'].map((name) => ['wal', name]),
  ['repo', 'copy'],
];

describe('the companion', () => {
  it('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(VERSION).toBe(version);
    expect(await callCompanion(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([[[]], ...COMMANDS.map((command) => [command])])(
    'ends the help of %j with the exit statuses',
    async (command) => {
      const { status, stdout, stderr } = await callCompanion([...command, '--help']);
      expect(stderr).toBe('');
      expect(status).toBe(0);
      expect(stdout).toMatch(/\nEXIT STATUS\n {2}0 .*\n {2}1 .*\n {2}2 .*\n$/);
    },
  );

  it('shows help even where the configuration is broken', async () => {
    expect(await callCompanion(['list', '--help'], { WALHOLD_CONFIG: '/nonexistent/file' })).toMatchObject({
      status: 0,
    });
  });

  const mistakes: [argv: string[], message: string, hint: string][] = [
    [[], 'no command given', 'Try "walhold --help".'],
    [['lsit'], 'unknown command "lsit"', 'Did you mean "list"?'],
    [['wal', 'lst'], 'unknown command "lst"', 'Did you mean "list"?'],
    [['dump', '--json'], '"dump" is not supported by this version', 'See --help'],
    [['wal', 'find', 'x'], '"wal find" is not supported by this version', 'See --help'],
    [['dump', '--help'], '"dump" is not supported by this version', 'See --help'],
    [['dump', '-?'], '"dump" is not supported by this version', 'See --help'],
    [['lsit', '--help'], 'unknown command "lsit"', 'Did you mean "list"?'],
    [['list', '--as-of', 'yesterday', '--repo', 'file:///x'], 'bad value for --as-of: "yesterday"', 'Give the offset'],
    [['backup', '--as-of', '2026-01-01'], 'this command does not take --as-of', 'Commands that only read'],
    [['check', '--as-of', '2026-01-01'], 'this command does not take --as-of', 'Commands that only read'],
    [['wal', 'push', '--as-of', '2026-01-01'], 'this command does not take --as-of', 'Commands that only read'],
    [['wal', 'help'], 'unknown command "help"', 'Try "--help"'],
    [['list', '--rep', 'file:///x'], 'unknown option "--rep"', 'Did you mean "--repo"?'],
    [['list', '--jsno'], 'unknown option "--jsno"', 'Did you mean "--json"?'],
    [['--repo', 'file:///x', 'list', 'more'], 'too many arguments for "list"', ''],
    [['list', '--repo'], 'the option --repo needs a value', 'Write --repo VALUE.'],
    [['list'], 'no repository is configured', 'Set repo in'],
    [['list', '--repo', 'ftp://x/y'], 'the repository URL in', 'Write file:///absolute/path'],
    [['list', '--repo', 'file:///x', '--jobs', 'many'], 'option --jobs: bad value for jobs', ''],
    [['list', '--repo', 'file:///x', '--use-repo', '2'], 'there is no repository number 2', 'Configured are: 1.'],
    [['list', '--repo', 'file:///x', '--lock-mode', 'governance'], '', ''],
    [['list', '--config', '/nonexistent/file'], 'could not read the configuration file', 'Name it with --config'],
    [['wal', 'inspect', '--repo', 'file:///x'], 'missing required argument', 'Try "--help"'],
    [['wal', 'inspect', 'x', '--repo', 'file:///x'], '"x" is not the name of a WAL file', 'Names are 24 hex digits'],
    [['wal', 'list', '--timeline', '0', '--repo', 'file:///x'], 'option "--timeline', ''],
    [['status', '--json', '--prometheus', '--repo', 'file:///x'], 'option "--', ''],
    [['drill', '--dbname', 'x', '--repo', 'file:///x'], '--dbname goes with --sql', 'It names the database'],
    [['drill', '--sql', '/nonexistent/x', '--repo', 'file:///x'], 'could not read /nonexistent/x', 'Name with --sql'],
    [
      ['drill', '--scratch-dir', '/nonexistent', '--repo', 'file:///x'],
      'could not use /nonexistent',
      'Name with --scra',
    ],
    [['completion', 'ksh'], 'command-argument value "ksh" is invalid', ''],
    [['check', '-d', 'x=y', '--repo', 'file:///x'], 'connection parameter x is unknown', ''],
  ];
  it.each(mistakes)('refuses %j with one message, a hint and status 2', async (argv, message, hint) => {
    const { status, stdout, stderr } = await callCompanion(argv);
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toContain(`walhold: error: ${message}`);
    expect(lines.at(-1)).toContain(`walhold: hint: ${hint}`);
    expect(lines.filter((line) => line.includes(': error: '))).toHaveLength(1);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });

  it('reports in the form that log_format asks for', async () => {
    const argv = ['list', '--repo', 'file:///nonexistent/repository', '--log-format', 'json'];
    const { status, stderr } = await callCompanion(argv);
    expect(status).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({
      level: 'error',
      program: 'walhold',
      hint: expect.any(String) as string,
    });
  });

  it('completes every command and option in a real shell', async () => {
    const { stdout } = await callCompanion(['completion', 'bash']);
    const complete = async (...words: string[]): Promise<string[]> => {
      const script = `${stdout}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _walhold; echo "\${COMPREPLY[@]}"`;
      const result = await run(['bash', '-c', script, 'bash', ...words]);
      return result.stdout.trim().split(' ');
    };
    expect(await complete('walhold', 'ver')).toEqual(['verify']);
    expect(await complete('walhold', '--repo', 'file:///x', 'wal', '')).toEqual([
      'list',
      'inspect',
      'push',
      'resolve',
      '--help',
    ]);
    expect(await complete('walhold', 'wal', 'list', '--tim')).toEqual(['--timeline']);
    expect(await complete('walhold', 'list', '--s3-en')).toEqual(['--s3-endpoint']);
  });

  it('takes settings before and after the sub-command', async () => {
    const { stdout } = await callCompanion(['--repo', 'file:///a', 'config', '-j', '3', '--json']);
    const { settings } = JSON.parse(stdout) as { settings: { name: string; value: string; source: string }[] };
    expect(settings).toContainEqual({ name: 'repo', value: 'file:///a', source: 'option --repo' });
    expect(settings).toContainEqual({ name: 'jobs', value: '3', source: 'option --jobs' });
  });

  it.each([[[]], [['--repo2', 'file:///second']]])(
    'shows the settings where no first repository is named yet: %j',
    async (argv) => {
      const { status, stdout, stderr } = await callCompanion(['config', ...argv], { WALHOLD_JOBS: '2' });
      expect(stdout).toMatch(/^jobs +2 +environment variable WALHOLD_JOBS$/m);
      expect(stderr).toMatch(
        /^walhold: warning: no repository is configured\nwalhold: detail: the setting repo is missing\nwalhold: hint: Set repo in .+\n$/,
      );
      expect(status).toBe(0);
    },
  );

  it.each([
    ['a bad value', ['--jobs', 'many'], 'bad value for jobs', ''],
    ['a bad URL', ['--repo', 'ftp://x/y'], 'the repository URL in', 'ftp://x/y'],
    ['a bad URL without the first', ['--repo2', 'ftp://x/y'], 'the repository URL in', 'ftp://x/y'],
    [
      'a setting of no repository',
      ['--repo2-s3-region', 'x'],
      'repo2_s3_region is set, but repo2 is not',
      'repo2_s3_region',
    ],
    ['one place twice', ['--repo', 'file:///x', '--repo2', 'file:///x'], 'are the same place', 'file:///x'],
  ])('ends with 2 at %s, having shown what can be shown', async (_, argv, message, shown) => {
    const { status, stdout, stderr } = await callCompanion(['config', ...argv]);
    expect(stderr).toMatch(/^walhold: error: /);
    expect(stderr).toContain(message);
    expect(stdout).toContain(shown);
    expect(status).toBe(2);
  });

  it('says nothing when its reader has seen enough, and ends as a closed pipe ends every program', async () => {
    const closed = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const print = (): void => {
      throw new WalholdError('interrupted', 'nobody reads the result', { cause: closed });
    };
    for (const argv of [['config', '--repo', 'file:///x'], ['--help']]) {
      expect(await callCompanion(argv, {}, print)).toEqual({ status: 141, stdout: '', stderr: '' });
    }
  });

  it('never shows a password that stands in a URL', async () => {
    const { stdout } = await callCompanion([
      'config',
      '--repo',
      's3://b/p',
      '--s3-endpoint',
      'https://me:secret@h:9000',
    ]);
    expect(stdout).toContain('https://***@h:9000');
    expect(stdout).not.toContain('secret');
  });

  it('warns once of unknown variables of the environment', async () => {
    const { status, stderr } = await callCompanion(['config', '--repo', 'file:///x'], { WALHOLD_JOSB: '1' });
    expect(stderr).toBe('walhold: warning: unknown environment variables are ignored: WALHOLD_JOSB\n');
    expect(status).toBe(0);
  });
});
