import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { WalholdError } from '../../../src/base/errors.ts';
import { textLog } from '../../../src/base/log.ts';
import type { CommandContext } from '../../../src/commands/command-context.ts';
import { sealStoredWal } from '../../../src/commands/seal-stored-wal.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';
import { clock, GIB, SealedWorld } from '../../support/sealed-world.ts';

/** Seals, and gives what was said of it. */
async function said(
  worlds: readonly SealedWorld[],
  level: 'info' | 'debug' = 'info',
  time: Clock = clock,
): Promise<string> {
  let text = '';
  const log = textLog('test', level, (line) => (text += line));
  const { signal } = new AbortController();
  const context = { log, clock: time, by: 'a test', signal, config: { jobs: 2 } } as unknown as CommandContext;
  const cluster = { systemId: SYSTEM_ID, segmentBytes: GIB };
  await sealStoredWal(
    context,
    worlds.map(({ repository }) => repository),
    cluster,
  );
  return text;
}

function world(options: ConstructorParameters<typeof SealedWorld>[0] = {}): SealedWorld {
  const made = new SealedWorld(options);
  made.putSegments(0, 99);
  return made;
}

function failing(error: Error): SealedWorld {
  const made = world();
  const create = (): Promise<never> => Promise.reject(error);
  Object.assign(made.repository, { store: { ...made.repository.store, create } });
  return made;
}

describe('what a command says of the seals that it leaves', () => {
  it('is where they are, and of how much', async () => {
    const text = await said([world(), world({ number: 2 })]);
    expect(text).toContain('info: memory://1/seal/20260601T000000Z.json seals 25 logs of 4 GiB');
    expect(text).toContain('info: memory://2/seal/20260601T000000Z.json seals 25 logs of 4 GiB');
  });

  it('is nothing where there is too little for one', async () => {
    expect(await said([new SealedWorld()], 'debug')).toBe('');
  });

  it('is nothing to worry about where the credentials may not', async () => {
    const denied = failing(new WalholdError('denied', 'these credentials may not'));
    expect(await said([denied])).toBe('');
    expect(await said([denied], 'debug')).toContain('debug: these credentials may not leave a seal in memory://1');
  });

  it('is a warning where that takes too long', async () => {
    const silent = world();
    const create: SealedWorld['repository']['store']['create'] = async (_, __, { signal }) =>
      await new Promise((_resolve, reject) => {
        const end = (): void => reject(signal.reason as Error);
        if (signal.aborted) end();
        else signal.addEventListener('abort', end);
      });
    Object.assign(silent.repository, { store: { ...silent.repository.store, create } });
    const text = await said([silent], 'info', { ...clock, sleep: () => Promise.resolve() });
    expect(text).toContain('warning: could not leave a seal in memory://1: no answer within 600 s');
  });

  it('is a warning where it cannot be left, and the next repository gets its own', async () => {
    const broken = failing(new WalholdError('unreachable', 'no answer', { detail: 'for long' }));
    const text = await said([broken, world({ number: 2 })]);
    expect(text).toContain('warning: could not leave a seal in memory://1: no answer');
    expect(text).toContain('memory://2/seal/20260601T000000Z.json seals 25 logs');
  });
});
