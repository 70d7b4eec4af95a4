import { hasCode, WalholdError } from '../base/errors.ts';
import { parseHistory, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { historyName } from '../postgres/wal-name.ts';
import type { CallOptions } from '../store/store.ts';
import { readAuthentic } from './authentic.ts';
import { walKey } from './layout.ts';
import { decodeObject } from './object-codec.ts';
import { HEAD_MAX_BYTES } from './object-head.ts';
import { firstThatWorks, type Repository } from './repository.ts';

export interface DamagedHistory {
  readonly timeline: TimelineId;
  readonly error: unknown;
}

const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Reads history files, each from the first of the repositories that hold it. Those that are damaged everywhere are named; a store
 * that does not answer is an error, since a timeline without its history would look like one without ancestors.
 */
export async function readHistories(
  holders: ReadonlyMap<TimelineId, readonly Repository[]>,
  options: CallOptions & { systemId: bigint },
): Promise<{ histories: Map<TimelineId, TimelineHistory>; damaged: DamagedHistory[] }> {
  const histories = new Map<TimelineId, TimelineHistory>();
  const damaged: DamagedHistory[] = [];
  for (const timeline of [...holders.keys()].sort((a, b) => a - b)) {
    try {
      const { value } = await firstThatWorks(holders.get(timeline) ?? [], (one) => readHistory(one, timeline, options));
      if (value !== undefined) histories.set(timeline, value);
    } catch (error) {
      if (!hasCode(error, 'damaged', 'bad-format')) throw error;
      damaged.push({ timeline, error });
    }
  }
  return { histories, damaged };
}

async function readHistory(
  { store, url }: Repository,
  timeline: TimelineId,
  { signal, systemId }: CallOptions & { systemId: bigint },
): Promise<TimelineHistory | undefined> {
  const name = historyName(timeline);
  const key = walKey({ kind: 'history', name, timeline });
  const object = `${url}/${key}`;
  return await readAuthentic(store, key, { signal, maxBytes: MAX_BYTES + HEAD_MAX_BYTES }, ({ bytes }) => {
    const { head, plain } = decodeObject(bytes, object, MAX_BYTES);
    if (head.kind !== 'history' || head.name !== name || head.systemId !== String(systemId)) {
      throw new WalholdError('damaged', `could not trust ${object}`, {
        detail: `it says that it is ${head.name} of cluster ${head.systemId}`,
      });
    }
    return parseHistory(timeline, plain.toString('utf8'));
  });
}
