import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ReadingThreads } from '../../../src/commands/verify/reading-threads.ts';
import { objectsOf, type StreamedObject } from '../../../src/repository/backup-objects.ts';
import { readHere } from '../../../src/repository/verify-reader.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { nameOf, putSegments } from '../../support/made-segments.ts';
import { inSegment, putBackup } from '../../support/stored-backup.ts';

const MIB = 1024 * 1024;

let stored: FileRepository;
let parts: StreamedObject[];
beforeEach(async () => {
  stored = await FileRepository.create();
  await putSegments(stored, 2, 8);
  parts = objectsOf(await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) }));
});
afterEach(async () => await stored[Symbol.asyncDispose]());

function threads(signal: AbortSignal): ReadingThreads {
  const { number, url, settings, lock, retention } = stored.repository;
  const place = { number, url, store: settings, lock, retention };
  return new ReadingThreads({ repositories: [place], requestTimeoutMs: 1000, asOf: undefined }, signal);
}

const segment = (segno: number): { key: string; systemId: bigint; segmentBytes: number } => ({
  key: `wal/00000001/0000000100000000/${nameOf(segno)}.zst`,
  systemId: SYSTEM_ID,
  segmentBytes: MIB,
});

describe('contents that threads read', () => {
  it('are what this thread finds in them, however many are asked for at once', async () => {
    const { signal } = new AbortController();
    await using reader = threads(signal);
    const here = readHere({ signal });
    const { repository } = stored;
    const segnos = [2, 3, 4, 5, 6, 7, 8];
    const read = await Promise.all(segnos.map((segno) => reader.wal(repository, segment(segno))));
    for (const [index, reading] of read.entries()) {
      const wanted = await here.wal(repository, segment(segnos[index] ?? 0));
      expect(reading).toEqual(wanted);
      expect(reading).toMatchObject({ problems: [], proof: { records: 2 } });
    }
  });

  it('have paths that are no text', async () => {
    const { signal } = new AbortController();
    await using reader = threads(signal);
    for (const part of parts) {
      const frames = part.frames?.map((frame) => ({
        ...frame,
        files: frame.files.map((file) => ({ ...file, path: Buffer.from(file.path as string) })),
      }));
      const files = frames?.flatMap((frame) => frame.files) ?? [];
      const question = { ...part, frames, systemId: SYSTEM_ID, checksums: files.map(() => undefined) };
      expect(await reader.part(stored.repository, question)).toEqual({ problems: [], read: [part.stored.storedBytes] });
      const checksums = files.map(() => ({ algorithm: 'SHA256' as const, hex: '00' }));
      const { problems } = await reader.part(stored.repository, { ...question, checksums });
      expect(problems.map(({ message }) => message.split(' ')[0])).toEqual(
        files.map(({ path }) => JSON.stringify(path.toString())),
      );
    }
  });

  it('are waited for no longer once the operator stops the program', async () => {
    const stop = new AbortController();
    const reader = threads(stop.signal);
    const reading = reader.wal(stored.repository, segment(2));
    stop.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    await reader[Symbol.asyncDispose]();
  });

  it('are an error where the repository does not answer', async () => {
    const { signal } = new AbortController();
    await using reader = threads(signal);
    const { root } = stored;
    await stored[Symbol.asyncDispose]();
    await expect(reader.wal(stored.repository, segment(2))).rejects.toMatchObject({
      code: expect.stringMatching(/^(store-gone|unreachable|io)$/) as string,
    });
    expect(root).not.toBe('');
  });
});
