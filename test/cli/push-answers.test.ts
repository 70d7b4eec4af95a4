import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, rename, rm, stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nameOf } from '../support/made-segments.ts';
import { launchersOver } from '../support/launcher-stub.ts';
import { Place } from '../support/place.ts';
import { run, type RunOptions, type RunResult } from '../support/run.ts';
import { settingVariables } from '../../src/config/setting-name.ts';
import { ServedCluster, SHELLS } from '../support/served-call.ts';
import { waitFor } from '../support/wait-for.ts';

/** What the stand-in for the program says: no answer was found. */
const LOOKED = 'the program ran';

/** busybox compares whole seconds: there the program looks for itself. */
const isFine = (shell: readonly string[]): boolean => shell[0] !== 'busybox';

describe.each(SHELLS.map((shell) => ({ shell, name: shell.join(' ') })))('with $name a push', ({ shell }) => {
  let place: Place;
  let served: ServedCluster;
  let launcher: string;

  beforeEach(async () => {
    place = await Place.create('answers', 'current user');
    served = await ServedCluster.create(join(place.path, 'data'));
    launcher = join(await launchersOver(join(place.path, 'program'), `echo ${LOOKED} >&2; exit 68`), 'walhold-push');
  });
  afterEach(async () => await place[Symbol.asyncDispose]());

  const push = async (argv: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
    await run([...shell, launcher, ...argv], { cwd: served.cluster.path, timeoutMs: 20_000, ...options });
  const expectAnswer = (result: RunResult): void => {
    if (isFine(shell)) expect(result).toMatchObject({ status: 0, stdout: '', stderr: '' });
    else expect(result.status).toBe(result.stderr === '' ? 0 : 1);
  };
  const expectLook = (result: RunResult): void => {
    expect(result).toMatchObject({ status: 1, stderr: `${LOOKED}\n` });
  };

  it('is answered from what a worker left, once', async () => {
    const walPath = await served.store(5);
    await served.announce([walPath]);
    expectAnswer(await push([walPath]));
    expectLook(await push([walPath]));
  });

  it('is told apart from what was written right before and after, where the shell can', async () => {
    const walPath = await served.cluster.putSegment(5);
    // Far from the ends of its second: what brackets it lies in the same one.
    await utimes(join(served.cluster.path, walPath), 1_700_000_000.5, 1_700_000_000.5);
    await served.answer(5);
    await served.announce([walPath]);
    const newer = await run(
      [...shell, '-c', '[ "$0" -nt "$1" ]', walPath, `${served.answers.path}/${nameOf(5)}.before`],
      {
        cwd: served.cluster.path,
      },
    );
    expect(newer.status).toBe(isFine(shell) ? 0 : 1);
    if (isFine(shell)) expectAnswer(await push([walPath]));
    else expectLook(await push([walPath]));
  });

  it('is answered when the worker has been killed since', async () => {
    const walPath = await served.store(5);
    await served.announce([walPath], { pid: 4_194_304 });
    expectAnswer(await push([walPath]));
  });

  it('is answered from a spool elsewhere, with a space in its name', async () => {
    const spool = await place.folder('another spool');
    served = await ServedCluster.create(join(place.path, 'other'), { spool });
    const walPath = await served.store(5);
    await served.announce([walPath]);
    expectAnswer(await push([walPath]));
  });

  describe('is answered when the same call was served, whatever it says', () => {
    const CALLS: [string, readonly string[], Record<string, string>][] = [
      ['settings', ['--config', '/etc/w.conf', '--repo', 'file:///r'], {}],
      ['an empty word', ['--repo', '', '--'], {}],
      ['spaces, quotes, patterns and dollars', ['--repo', ` a  b'"*$HOME\`id\`\\n\\`, '-n', '-e'], {}],
      ['letters of any language', ['--repo', 'file:///данные/ä'], { WALHOLD_REPO2: 'file:///日本' }],
      ['variables', [], { WALHOLD_REPO: 'file:///r', WALHOLD_REPO9_LOCK_MODE: 'none', AWS_PROFILE: 'p' }],
      ['an empty variable', [], { WALHOLD_REPO: '' }],
      ['backslashes at the end', ['--repo', 'x\\'], { WALHOLD_REPO: '\\', HOME: '/home/\\' }],
    ];
    it.each(CALLS)('%s', async (_, words, environment) => {
      const walPath = await served.store(5);
      expect(await served.announce([...words, walPath], { environment })).toBeDefined();
      expectAnswer(await push([...words, walPath], { env: environment }));
    });
  });

  describe('looks for itself when another call was served:', () => {
    const CALLS: [string, readonly string[], Record<string, string>, readonly string[], Record<string, string>][] = [
      ['another word', ['--repo', 'a'], {}, ['--repo', 'b'], {}],
      ['a word less', ['--repo', 'a', '--'], {}, ['--repo', 'a'], {}],
      ['words joined', ['a', 'b'], {}, ['a\tb'], {}],
      ['a value of tabs', [], {}, [], { https_proxy: '\t'.repeat(settingVariables().length) }],
      ['a setting, empty before', [], { WALHOLD_REPO: '' }, [], { WALHOLD_METRICS_FILE: 'a' }],
      ['another repository in the environment', [], { WALHOLD_REPO: 'a' }, [], { WALHOLD_REPO: 'b' }],
      ['a setting that is gone', [], { WALHOLD_PUSH_AHEAD: '0' }, [], {}],
      ['a value in another variable', [], { WALHOLD_REPO: 'a' }, [], { WALHOLD_REPO2: 'a' }],
      [
        'two values in one',
        [],
        { WALHOLD_REPO: 'a', WALHOLD_REPO2: 'b' },
        [],
        { WALHOLD_CONFIG: '\ta', WALHOLD_REPO: 'b' },
      ],
      ['another configuration file', [], { WALHOLD_CONFIG: '/a' }, [], { WALHOLD_CONFIG: '/b' }],
      ['other credentials', [], { AWS_ACCESS_KEY_ID: 'a' }, [], { AWS_ACCESS_KEY_ID: 'b' }],
      ['a line break', ['--repo', 'a'], {}, ['--repo', 'a\nb'], {}],
    ];
    it.each(CALLS)('%s', async (_, words, environment, otherWords, otherEnvironment) => {
      const walPath = await served.store(5);
      await served.announce([...words, walPath], { environment });
      expectLook(await push([...otherWords, walPath], { env: otherEnvironment }));
    });
  });

  it.each([['a\tb'], ['a\nb'], ['a\u007f']])('is never served where a word or a value is %j', async (text) => {
    const walPath = await served.store(5);
    expect(await served.announce(['--repo', text, walPath])).toBeUndefined();
    expect(await served.announce([walPath], { environment: { WALHOLD_REPO: text } })).toBeUndefined();
  });

  describe('looks for itself when the file', () => {
    const path = (): string => join(served.cluster.path, 'pg_wal', nameOf(5));
    const CHANGES: [string, () => Promise<void>][] = [
      ['is gone', async () => await unlink(path())],
      ['has other content since', async () => await served.overwrite(5)],
      [
        'was replaced by another one, which is older',
        async () => {
          await served.cluster.putSegment(6);
          await utimes(join(served.cluster.path, 'pg_wal', nameOf(6)), 1_600_000_000, 1_600_000_000);
          await rename(join(served.cluster.path, 'pg_wal', nameOf(6)), path());
        },
      ],
      ['is said to be older', async () => await utimes(path(), 1_600_000_000, 1_600_000_000)],
      ['is said to be newer', async () => await utimes(path(), 4_000_000_000, 4_000_000_000)],
      [
        'is older by a hundredth of a millisecond',
        async () => {
          const at = Number((await stat(path(), { bigint: true })).mtimeNs / 1000n - 10n) / 1e6;
          await utimes(path(), at, at);
        },
      ],
      [
        'is a directory',
        async () => {
          await unlink(path());
          await mkdir(path());
        },
      ],
    ];
    it.each(CHANGES)('%s', async (_, change) => {
      const walPath = await served.store(5);
      await served.announce([walPath]);
      await change();
      expectLook(await push([walPath]));
    });
  });

  it.each([['the process', '7'] as const, ['the start', '7'] as const, ['the directory', '/elsewhere'] as const])(
    'looks for itself when %s of the postmaster is another',
    async (what, value) => {
      const walPath = await served.store(5);
      await served.announce([walPath]);
      const lines = [...served.run].with(['the process', 'the directory', 'the start'].indexOf(what), value);
      await served.cluster.put('postmaster.pid', `${lines.join('\n')}\n5432\n`);
      expectLook(await push([walPath]));
    },
  );

  it('looks for itself in a copy of the data directory, and in one that no server runs in', async () => {
    const walPath = await served.store(5);
    await served.announce([walPath]);
    const copy = join(place.path, 'copy');
    await cp(served.cluster.path, copy, { recursive: true, preserveTimestamps: true });
    await writeFile(join(copy, 'postmaster.pid'), `${process.pid}\n${copy}\n1700000000\n`);
    expectLook(await push([walPath], { cwd: copy }));
    await unlink(join(copy, 'postmaster.pid'));
    expectLook(await push([walPath], { cwd: copy }));
  });

  describe('looks for itself when the configuration file', () => {
    const CHANGES: [string, string | undefined, () => Promise<void>][] = [
      ['appeared', undefined, async () => await writeFile(served.config, 'b')],
      ['vanished', 'a', async () => await unlink(served.config)],
      ['was written', 'a', async () => await writeFile(served.config, 'b')],
      [
        'was replaced by an older one',
        'a',
        async () => {
          await writeFile(`${served.config}.old`, 'b');
          await utimes(`${served.config}.old`, 1_600_000_000, 1_600_000_000);
          await rename(`${served.config}.old`, served.config);
        },
      ],
      [
        'is a link to another one now',
        'a',
        async () => {
          await writeFile(join(place.path, 'b'), 'b');
          await rm(served.config);
          await symlink(join(place.path, 'b'), served.config);
        },
      ],
    ];
    it.each(CHANGES)('%s', async (_, text, change) => {
      if (text !== undefined) await writeFile(served.config, text);
      const walPath = await served.store(5);
      await served.announce([walPath]);
      expectAnswer(await push([walPath]));
      await served.answer(5);
      await change();
      expectLook(await push([walPath]));
    });
  });

  it.each([
    'pg_wal/../pg_wal/000000010000000000000005',
    './pg_wal/000000010000000000000005',
    'pg_wal//000000010000000000000005',
  ])('looks for itself for a path that the server does not use: %s', async (walPath) => {
    await served.store(5);
    await served.announce([walPath]);
    expectLook(await push([walPath]));
    const absolute = join(served.cluster.path, 'pg_wal', nameOf(5));
    await served.announce([absolute]);
    expectLook(await push([absolute]));
  });

  it.each(['', '\n\n\n', 'x', '\0\0\0\0', 'key\n0 0\n\n'])('looks for itself where the note is %j', async (text) => {
    const walPath = await served.store(5);
    await writeFile(join(served.cluster.path, 'pg_wal/pgsql_tmp.walhold/push'), text);
    expectLook(await push([walPath]));
  });

  it('waits for a worker that is at it', async () => {
    const walPath = await served.cluster.putSegment(5);
    await served.announce([walPath], { polls: 500 });
    const pushing = push([walPath]);
    await waitFor(async () => await served.answer(5), { what: 'the answer' });
    expectAnswer(await pushing);
  });

  it('stops waiting when the worker says that it failed, when it ends, and when the time is over', async () => {
    const walPath = await served.cluster.putSegment(5);
    await served.announce([walPath], { polls: 10_000 });
    const waiting = push([walPath]);
    await served.answers.failed(nameOf(5));
    expectLook(await waiting);

    await served.answers.forget(nameOf(5));
    const worker = spawn('sleep', ['100'], { stdio: 'ignore' });
    await served.announce([walPath], { polls: 10_000, pid: worker.pid ?? 0 });
    const pushing = push([walPath]);
    worker.kill('SIGKILL');
    expectLook(await pushing);

    await served.announce([walPath], { polls: 3 });
    expectLook(await push([walPath]));
  });

  it('that waits fails at once when it is told to stop', async () => {
    const walPath = await served.cluster.putSegment(5);
    await served.announce([walPath], { polls: 10_000 });
    const line = '"$@" & pid=$!; sleep 0.2; kill $pid; wait $pid';
    const started = performance.now();
    const argv = ['sh', '-c', line, 'sh', ...shell, launcher, walPath];
    const result = await run(argv, { cwd: served.cluster.path, timeoutMs: 20_000 });
    expect(result).toMatchObject({ status: 1, stderr: '' });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('looks for itself where the answer cannot be used up', async () => {
    const walPath = await served.store(5);
    await served.announce([walPath]);
    const [answer = ''] = (await readdir(served.answers.path)).filter((name) => name === nameOf(5));
    const line = 'mount --bind -o ro "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
    const argv = ['unshare', '-rm', 'sh', '-c', line, served.answers.path, ...shell, launcher, walPath];
    const result = await run(argv, { cwd: served.cluster.path });
    expect(answer).toBe(nameOf(5));
    expectLook(result);
  });
});
