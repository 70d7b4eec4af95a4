/** What verify's main thread and its reading threads say to each other. All of it survives structured cloning. */
import type { PlainError } from '../../base/plain-error.ts';
import type { RepositoryPlace } from '../../repository/repository.ts';
import type { PartQuestion } from '../../repository/verify-part.ts';
import type { Reading } from '../../repository/verify-reader.ts';
import type { WalQuestion } from '../../repository/verify-wal-object.ts';
import type { Stranger } from '../../store/store.ts';

/** `workerData`. */
export interface ThreadInput {
  repositories: readonly RepositoryPlace[];
  requestTimeoutMs: number;
  /** Read as the stores were at this moment. */
  asOf: Date | undefined;
}

/** `repository`: its number. */
export type Question =
  { kind: 'wal'; repository: number; about: WalQuestion } | { kind: 'part'; repository: number; about: PartQuestion };

/** `end`: nothing more will come; what runs is given up. */
export type ToThread = Question | { kind: 'end' };

export type FromThread =
  /** `reading`: a `WalReading` to a question about WAL. `strangers`: traces of somebody else, met meanwhile. */
  { kind: 'read'; reading: Reading; strangers: readonly Stranger[] } | { kind: 'failed'; error: PlainError };
