import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, systemCode, WalholdError } from '../base/errors.ts';
import { parseHistory, type TimelineHistory } from '../postgres/timeline-history.ts';
import { parseWalName } from '../postgres/wal-name.ts';
import { readTextFile } from './data-directory.ts';

/**
 * The history files in `pg_wal`, by rising timeline. Recovery keeps there what it was given of the timelines it follows
 * (readTimeLineHistory, access/transam/timeline.c), before it asks for the first segment. Those that cannot be read are left out.
 */
export async function readLocalHistories(dataDirectory: string): Promise<TimelineHistory[]> {
  const histories: TimelineHistory[] = [];
  for (const name of await walNames(dataDirectory)) {
    const file = parseWalName(name);
    if (file?.kind !== 'history') continue;
    const text = await readTextFile(join(dataDirectory, 'pg_wal', name));
    const history = text === undefined ? undefined : parsed(() => parseHistory(file.timeline, text));
    if (history !== undefined) histories.push(history);
  }
  return histories.sort((a, b) => a.timeline - b.timeline);
}

async function walNames(dataDirectory: string): Promise<string[]> {
  try {
    return await readdir(join(dataDirectory, 'pg_wal'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw new WalholdError('io', 'could not list pg_wal', { detail: reasonOf(error), cause: error });
  }
}

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
