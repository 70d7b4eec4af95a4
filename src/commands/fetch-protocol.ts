/** What the worker and its fetching threads say to each other. */
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { Repository, RepositoryPlace } from '../repository/repository.ts';

/** `workerData`. */
export interface FetchThreadInput {
  repositories: readonly RepositoryPlace[];
  requestTimeoutMs: number;
  asOf: Date | undefined;
  systemId: bigint;
  segmentBytes: number;
  /** How long a repository may go without any answer. */
  reachMs: number;
  /** Where the segments go. */
  answers: string;
}

export interface ToFetch {
  kind: 'fetch';
  name: string;
  latest: boolean;
  target: TimelineHistory | undefined;
}

export interface Fetched {
  kind: 'fetched';
  /** Otherwise it is not there, or its absence means something. */
  found: boolean;
  /** All that the thread has met of somebody else's, if that has become more. */
  traces: readonly Pick<Repository, 'number' | 'url' | 'strangers'>[];
}
