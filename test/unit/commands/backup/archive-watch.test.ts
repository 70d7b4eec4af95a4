import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SILENT } from '../../../../src/base/log.ts';
import { waitForSegments, watchArchiving, type ArchiveWatch } from '../../../../src/commands/backup/archive-watch.ts';
import { unarchivedSegments } from '../../../../src/server/archive-status.ts';
import { FileRepository } from '../../../support/file-repository.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const FIRST = '000000010000000000000002';
const SECOND = '000000010000000000000003';

let data = '';
const status = (name: string): string => join(data, 'pg_wal/archive_status', name);
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'walhold-watch-'));
  mkdirSync(status('.'), { recursive: true });
  for (const name of [FIRST, SECOND]) {
    writeFileSync(join(data, 'pg_wal', name), '');
    writeFileSync(status(`${name}.ready`), '');
  }
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

interface Watching {
  watch: ArchiveWatch;
  clock: ManualClock;
}

function watching(repositories: readonly FileRepository[], dataDirectory: string | undefined = data): Watching {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const watch = {
    repositories: repositories.map(({ repository }) => repository),
    dataDirectory,
    clock,
    log: SILENT,
    signal,
  };
  return { watch, clock };
}

/** Lets time pass until the promise is settled. */
async function settled<T>(work: Promise<T>, clock: ManualClock, seconds: number): Promise<T> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  work.then(end, end);
  for (let i = 0; i < seconds * 20 && !over; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await clock.advance(50);
  }
  return work;
}

describe('waiting for WAL', () => {
  it('ends when every repository holds all of it', async () => {
    await using one = await FileRepository.create(1);
    await using two = await FileRepository.create(2);
    const { watch, clock } = watching([one, two]);
    for (const repository of [one, two]) await repository.putWal(FIRST, '1');
    await one.putWal(SECOND, '2');
    const work = waitForSegments([FIRST, SECOND], 60_000, watch);
    await clock.advance(1000);
    await two.putWal(SECOND, '2');
    await settled(work, clock, 30);
  });

  it('ends at its time, and names what is missing where', async () => {
    await using one = await FileRepository.create(1);
    await using two = await FileRepository.create(2);
    await one.putWal(FIRST, '1');
    const { watch, clock } = watching([one, two]);
    await expect(settled(waitForSegments([FIRST, SECOND], 10_000, watch), clock, 30)).rejects.toMatchObject({
      code: 'deadline',
      message: 'the WAL that the backup needs was not stored within 10 s',
      detail: `${one.repository.url} lacks ${SECOND}; ${two.repository.url} lacks ${FIRST} and 1 more up to ${SECOND}`,
    });
  });

  it.each([
    ['by its note', () => renameSync(status(`${SECOND}.ready`), status(`${SECOND}.done`))],
    [
      'by having let it go',
      () => {
        rmSync(join(data, 'pg_wal', SECOND));
        rmSync(status(`${SECOND}.ready`));
      },
    ],
  ])('ends at once when the server says, %s, that it has archived what is not there', async (_, archive) => {
    await using repository = await FileRepository.create();
    await repository.putWal(FIRST, '1');
    archive();
    const { watch, clock } = watching([repository]);
    await expect(settled(waitForSegments([FIRST, SECOND], 60_000, watch), clock, 1)).rejects.toMatchObject({
      code: 'server',
      detail: `it says that ${SECOND} is archived, but the repository does not hold it`,
    });
  });

  it('does not believe the notes of a standby, which archives nothing itself', async () => {
    await using repository = await FileRepository.create();
    renameSync(status(`${FIRST}.ready`), status(`${FIRST}.done`));
    const { watch, clock } = watching([repository]);
    const work = waitForSegments([FIRST], 10_000, { ...watch, dataDirectory: undefined });
    await expect(settled(work, clock, 30)).rejects.toMatchObject({ code: 'deadline' });
  });
});

describe('watching the archiver', () => {
  it('ends when the segment has come, however long that takes', async () => {
    await using repository = await FileRepository.create();
    const { watch, clock } = watching([repository]);
    const work = watchArchiving(FIRST, watch);
    await clock.advance(3_600_000);
    await repository.putWal(FIRST, '1');
    renameSync(status(`${FIRST}.ready`), status(`${FIRST}.done`));
    await settled(work, clock, 30);
  });

  it('looks only at what was not archived before', () => {
    renameSync(status(`${FIRST}.ready`), status(`${FIRST}.done`));
    writeFileSync(join(data, 'pg_wal/00000002.history'), '');
    expect([...unarchivedSegments(data)]).toEqual([SECOND]);
  });
});
