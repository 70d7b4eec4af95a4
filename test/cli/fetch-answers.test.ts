import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { launchersOver } from '../support/launcher-stub.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { run, type RunOptions, type RunResult } from '../support/run.ts';
import { ServedCluster, SHELLS } from '../support/served-call.ts';

/** What the stand-in for the program says: no answer was found. */
const LOOKED = 'the program ran';
const TARGET = 'pg_wal/RECOVERYXLOG';

describe.each(SHELLS.map((shell) => ({ shell, name: shell.join(' ') })))('with $name a fetch', ({ shell }) => {
  let place: Place;
  let served: ServedCluster;
  let launcher: string;

  beforeEach(async () => {
    place = await Place.create('fetched', 'current user');
    served = await ServedCluster.create(join(place.path, 'data'));
    launcher = join(await launchersOver(join(place.path, 'program'), `echo ${LOOKED} >&2; exit 68`), 'walhold-fetch');
  });
  afterEach(async () => await place[Symbol.asyncDispose]());

  const fetch = async (argv: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
    await run([...shell, launcher, ...argv], { cwd: served.cluster.path, timeoutMs: 20_000, ...options });
  const target = (): string => join(served.cluster.path, TARGET);
  const call = (segno: number, ...words: string[]): string[] => [...words, nameOf(segno), TARGET];
  const expectInPlace = async (result: RunResult, segno: number): Promise<void> => {
    expect(result).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect((await readFile(target())).equals(segmentBytes(segno))).toBe(true);
    // Whatever becomes of the file under its other name, nobody is given it from now on.
    expect((await served.fetched.names()).here).not.toContain(nameOf(segno));
    await rm(target());
  };
  const expectLook = (result: RunResult): void => {
    expect(result).toMatchObject({ status: 200, stderr: `${LOOKED}\n` });
    expect(existsSync(target())).toBe(false);
  };

  it('is given what a worker has fetched, segment after segment', async () => {
    for (const segno of [5, 6]) await served.fetch(segno);
    await served.announce(call(5, '--use-repo', '1'), { role: 'fetch' });
    await expectInPlace(await fetch(call(5, '--use-repo', '1')), 5);
    await expectInPlace(await fetch(call(6, '--use-repo', '1')), 6);
    expectLook(await fetch(call(5, '--use-repo', '1')));
    expectLook(await fetch(call(7, '--use-repo', '1')));
  });

  it('is given it when the worker has been killed since', async () => {
    await served.fetch(5);
    await served.announce(call(5), { role: 'fetch', pid: 4_194_304 });
    await expectInPlace(await fetch(call(5)), 5);
  });

  it('replaces what lies in the place', async () => {
    await served.fetch(5);
    await served.announce(call(5), { role: 'fetch' });
    await writeFile(target(), 'old');
    await expectInPlace(await fetch(call(5)), 5);
  });

  describe('looks for itself', () => {
    const CASES: [string, () => Promise<readonly string[]>][] = [
      ['for another place', async () => [nameOf(5), 'pg_wal/OTHER']],
      ['for the same place by another name', async () => [nameOf(5), `./${TARGET}`]],
      ['with other words', async () => call(5, '--use-repo', '2')],
      ['as of a moment', async () => call(5, '--as-of', '2026-11-22 19:00')],
      [
        'for a history file',
        async () => {
          await writeFile(served.fetched.pathOf('00000002.history'), 'x');
          return ['00000002.history', TARGET];
        },
      ],
      [
        'for what is no name',
        async () => {
          await writeFile(served.fetched.pathOf('0000000100000000000000X5'), 'x');
          return ['0000000100000000000000X5', TARGET];
        },
      ],
      [
        'when a history file has come',
        async () => {
          await served.cluster.put('pg_wal/00000002.history', '1\t0/500100\twhy\n');
          return call(5);
        },
      ],
      [
        'when the server has been started anew',
        async () => {
          await served.cluster.pretendToRun(process.pid, 1_700_000_001);
          return call(5);
        },
      ],
      [
        'when there is a configuration file now',
        async () => {
          await writeFile(served.config, '');
          return call(5);
        },
      ],
      [
        'when a directory lies in the place',
        async () => {
          await mkdir(target());
          return call(5);
        },
      ],
    ];
    it.each(CASES)('%s', async (what, happens) => {
      await served.fetch(5);
      await served.announce(call(5), { role: 'fetch' });
      const argv = await happens();
      const result = await fetch(argv);
      if (what === 'when a directory lies in the place') await rm(target(), { recursive: true });
      expectLook(result);
    });
  });

  it('looks for itself when a history file has gone', async () => {
    await served.cluster.put('pg_wal/00000002.history', '1\t0/500100\twhy\n');
    await served.fetch(5);
    await served.announce(call(5), { role: 'fetch' });
    await unlink(join(served.cluster.path, 'pg_wal/00000002.history'));
    expectLook(await fetch(call(5)));
  });

  it('puts nothing in place for a server that has died', async () => {
    const server = spawn('sleep', ['100'], { stdio: 'ignore' });
    const gone = new Promise((resolve) => server.once('exit', resolve));
    await served.cluster.pretendToRun(server.pid);
    await served.fetch(5);
    await served.announce(call(5), { role: 'fetch', run: [String(server.pid), served.cluster.path, '1700000000'] });
    server.kill('SIGKILL');
    await gone;
    expectLook(await fetch(call(5)));
    expect(existsSync(served.fetched.pathOf(nameOf(5)))).toBe(true);
  });

  it('waits for what is on its way, until it is here, or given up, or its time is over', async () => {
    await served.announce(call(5), { role: 'fetch', polls: 10_000 });
    await served.fetched.coming(nameOf(5));
    const waiting = fetch(call(5));
    await served.fetch(5);
    await served.fetched.settled(nameOf(5));
    await expectInPlace(await waiting, 5);

    await served.fetched.coming(nameOf(6));
    const given = fetch(call(6));
    await served.fetched.settled(nameOf(6));
    expectLook(await given);

    await served.fetched.coming(nameOf(7));
    await served.announce(call(7), { role: 'fetch', polls: 3 });
    expectLook(await fetch(call(7)));
    await served.announce(call(7), { role: 'fetch', polls: 10_000, pid: 4_194_304 });
    expectLook(await fetch(call(7)));
  });

  it('that waits stops at once when it is told to, with the status for that', async () => {
    await served.announce(call(5), { role: 'fetch', polls: 10_000 });
    await served.fetched.coming(nameOf(5));
    const line = '"$@" & pid=$!; sleep 0.2; kill $pid; wait $pid';
    const argv = ['sh', '-c', line, 'sh', ...shell, launcher, ...call(5)];
    const result = await run(argv, { cwd: served.cluster.path, timeoutMs: 20_000 });
    expect(result).toMatchObject({ status: 143, stderr: '' });
    expect(result.elapsedMs).toBeLessThan(5_000);
  });

  it('never takes a failure to move for "absent"', async () => {
    await served.fetch(5);
    await served.announce(call(5), { role: 'fetch' });
    const bin = await place.folder('bin');
    for (const script of ['exit 1', 'exit 0', 'kill -9 $$']) {
      for (const name of ['ln', 'mv']) await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      await served.fetch(5);
      expectLook(await fetch(call(5), { env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` } }));
      await served.fetched.drop(nameOf(5));
    }
  });

  it('moves it where it cannot be linked', async () => {
    await served.fetch(5);
    await served.announce(call(5), { role: 'fetch' });
    const bin = await place.folder('bin');
    await writeFile(join(bin, 'ln'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    await expectInPlace(await fetch(call(5), { env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` } }), 5);
  });

  it('is given no file that another call has taken, even if that did not come to link it', async () => {
    await served.fetch(5);
    await served.announce(call(5), { role: 'fetch' });
    await writeFile(`${served.fetched.pathOf(nameOf(5))}.taken`, '');
    expectLook(await fetch(call(5)));
  });

  it('looks for itself where it cannot note that it takes it', async () => {
    await served.fetch(5);
    await served.announce(call(5), { role: 'fetch' });
    const line = 'mount --bind -o ro "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
    const argv = ['unshare', '-rm', 'sh', '-c', line, served.fetched.path, ...shell, launcher, ...call(5)];
    expectLook(await run(argv, { cwd: served.cluster.path }));
  });
});
