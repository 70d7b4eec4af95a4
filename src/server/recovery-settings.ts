import { join } from 'node:path';
import { parseConf } from '../postgres/conf-file.ts';
import { parseTimelineText, type TimelineId } from '../postgres/timeline.ts';
import { readTextFile } from './data-directory.ts';

/** Which timeline recovery follows: `latest` is PostgreSQL's default. */
export type TargetTimeline = 'latest' | 'current' | TimelineId;

/**
 * `recovery_target_timeline` as the data directory's own files set it, `postgresql.auto.conf` before `postgresql.conf`. Where the
 * configuration lies elsewhere, or includes decide, the default is assumed: it asks for the most care.
 */
export async function readTargetTimeline(dataDirectory: string): Promise<TargetTimeline> {
  for (const name of ['postgresql.auto.conf', 'postgresql.conf']) {
    const text = await readTextFile(join(dataDirectory, name));
    const value = text === undefined ? undefined : lastValue(text);
    if (value === undefined) continue;
    if (value === 'current') return 'current';
    return parseTimelineText(value) ?? 'latest';
  }
  return 'latest';
}

function lastValue(text: string): string | undefined {
  const set = parseConf(text).entries.filter(({ name }) => name === 'recovery_target_timeline');
  return set.at(-1)?.value.toLowerCase();
}
